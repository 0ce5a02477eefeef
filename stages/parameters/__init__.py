"""params.yaml: read and merged, checked by its schema and between its keys, cut into each rule's section."""
