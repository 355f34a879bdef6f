((call target: (identifier) @_word (arguments . (alias) @name) (do_block)? @body) @definition.module
  (#eq? @_word "defmodule"))
((call target: (identifier) @_word (arguments . (alias) @name) (do_block)? @body) @definition.interface
  (#eq? @_word "defprotocol"))
((call target: (identifier) @_word (arguments . (alias) @name)) @scope
  (#eq? @_word "defimpl"))
; The clauses of a function stand one after the other and are one definition.
((call
    target: (identifier) @_word
    (arguments . [
      (identifier) @name
      (call target: (identifier) @name)
      (binary_operator left: (call target: (identifier) @name) operator: "when")
      (binary_operator left: (identifier) @name operator: "when")
    ])
    (do_block)? @body) @definition.function
  (#any-of? @_word "def" "defp" "defdelegate" "defguard" "defguardp" "defn" "defnp")
  (#set! clauses))
((call
    target: (identifier) @_word
    (arguments . [
      (identifier) @name
      (call target: (identifier) @name)
      (binary_operator left: (call target: (identifier) @name) operator: "when")
    ])
    (do_block)? @body) @definition.macro
  (#any-of? @_word "defmacro" "defmacrop")
  (#set! clauses))
((unary_operator operator: "@" operand: (call
    target: (identifier) @_word
    (arguments . (binary_operator
      left: [(identifier) @name (call target: (identifier) @name)]
      operator: "::")))) @definition.type
  (#any-of? @_word "type" "typep" "opaque"))
((unary_operator operator: "@" operand: (call
    target: (identifier) @_word
    (arguments . (binary_operator
      left: (call target: (identifier) @name)
      operator: "::")))) @definition.prototype
  (#any-of? @_word "callback" "macrocallback"))
((unary_operator operator: "@" operand: (call target: (identifier) @name (arguments))) @definition.constant
  (#not-any-of? @name
    "doc" "moduledoc" "typedoc" "spec" "type" "typep" "opaque" "callback" "macrocallback" "impl" "behaviour" "derive"
    "enforce_keys" "compile" "dialyzer" "deprecated" "since" "external_resource" "on_load" "before_compile"
    "after_compile" "tag" "moduletag" "describetag" "optional_callbacks")
  (#set! once))
((call target: (identifier) @_word (arguments . [(alias) (dot left: (alias) right: (tuple))] @import.plain))
  (#any-of? @_word "alias" "import" "require" "use"))
