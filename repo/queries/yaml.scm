((document (block_node (block_mapping (block_mapping_pair key: (_) @name) @section)))
  (#strip! @name "^[\"']|[\"']$"))
((document (block_node (block_mapping (block_mapping_pair
    value: (block_node (block_mapping (block_mapping_pair key: (_) @name) @section))))))
  (#strip! @name "^[\"']|[\"']$"))
