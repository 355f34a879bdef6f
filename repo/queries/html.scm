((element (start_tag (tag_name) @_tag) . (text) @name) @section
  (#match? @_tag "^([hH][1-6]|[tT][iI][tT][lL][eE])$"))
((element (start_tag (attribute (attribute_name) @_id (quoted_attribute_value (attribute_value) @name)))) @section
  (#any-of? @_id "id" "ID"))
