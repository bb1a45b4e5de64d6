"""The law of hiding over the real service: drawn meshes, requests made from the served schema, answers compared."""
