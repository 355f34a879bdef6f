(function_definition name: (word) @name) @definition.function
((command name: (command_name (word) @_alias) argument: (concatenation . (word) @name)) @definition.macro
  (#eq? @_alias "alias")
  (#strip! @name "=.*$"))
(program (declaration_command "readonly" (variable_assignment name: (variable_name) @name)) @definition.constant
  (#set! once))
(program (declaration_command (variable_assignment name: (variable_name) @name)) @definition.variable
  (#set! once))
(program (variable_assignment name: (variable_name) @name) @definition.variable
  (#set! once))
((command name: (command_name (word) @_source) argument: [(word) (string) (concatenation)] @import.path)
  (#any-of? @_source "source" ".")
  (#strip! @import.path "^[\"']|[\"']$"))
