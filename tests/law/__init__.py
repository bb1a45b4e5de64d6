"""The law of hiding over the real service: drawn meshes, requests generated from the served schema, answers compared."""
