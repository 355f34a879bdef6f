((section . (atx_heading heading_content: (inline) @name)) @section
  (#strip! @name "\\s+#+\\s*$"))
(section . (setext_heading heading_content: (paragraph) @name)) @section
; A heading of the underlined kind that the grammar leaves inside the section before.
(setext_heading heading_content: (paragraph) @name) @section
