(function_declaration name: (identifier) @name) @definition.function
(variable_declaration "const" . (identifier) @name (struct_declaration) @body) @definition.struct
(variable_declaration "const" . (identifier) @name (union_declaration) @body) @definition.union
(variable_declaration "const" . (identifier) @name (enum_declaration) @body) @definition.enum
(variable_declaration "const" . (identifier) @name (opaque_declaration) @body) @definition.struct
(variable_declaration "const" . (identifier) @name (error_set_declaration) @body) @definition.enum
(enum_declaration (container_field name: (identifier) @name) @definition.enumerator)
(error_set_declaration (identifier) @name @definition.enumerator)
(container_field name: (identifier) @name) @definition.field
(source_file (variable_declaration "const" . (identifier) @name) @definition.constant)
(source_file (variable_declaration "var" . (identifier) @name) @definition.variable)
(struct_declaration (variable_declaration "const" . (identifier) @name) @definition.constant)
(struct_declaration (variable_declaration "var" . (identifier) @name) @definition.variable)
((builtin_function (builtin_identifier) @_import (arguments . (string (string_content) @import.path)))
  (#any-of? @_import "@import" "@embedFile"))
