(rule_set (selectors) @name) @section
; @media ..., @keyframes NAME: what stands before the brace.
([(keyframes_statement) (media_statement) (supports_statement) (at_rule)] @section @name
  (#strip! @name "\\s*[{;][\\s\\S]*$"))
