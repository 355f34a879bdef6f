(package_object name: (_) @name) @definition.module
(class_definition name: (_) @name body: (_)? @body) @definition.class
(object_definition name: (_) @name body: (_)? @body) @definition.class
(trait_definition name: (_) @name body: (_)? @body) @definition.trait
(enum_definition name: (_) @name body: (_)? @body) @definition.enum
(simple_enum_case name: (_) @name) @definition.enumerator
(full_enum_case name: (_) @name) @definition.enumerator
(type_definition name: (type_identifier) @name) @definition.type
(function_definition name: (_) @name body: (_)? @body) @definition.function
(function_declaration name: (_) @name) @definition.function
(given_definition name: (_) @name) @definition.variable
(val_definition pattern: (identifier) @name) @definition.variable
(val_definition pattern: (identifiers (identifier) @name)) @definition.variable
(val_declaration name: (_) @name) @definition.variable
(var_definition pattern: (identifier) @name) @definition.variable
(var_declaration name: (_) @name) @definition.variable
; `case class Point(x: Int)` and `class Point(val x: Int)` have fields there.
(class_definition class_parameters: (class_parameters (class_parameter ["val" "var"] name: (_) @name) @definition.field))
(class_definition "case" class_parameters: (class_parameters (class_parameter name: (_) @name) @definition.field))
((import_declaration) @import.type
  (#strip! @import.type "^import\\s+|\\.(\\{[\\s\\S]*|[*_])$"))
