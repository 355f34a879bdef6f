; Not what make itself gives a meaning to (.PHONY and the like).
((rule (targets) @name) @section
  (#not-match? @name "^\\.[A-Z_]+\\s*$"))
(define_directive name: (word) @name) @section
