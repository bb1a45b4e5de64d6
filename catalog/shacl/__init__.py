"""SHACL engines: shapes and data in, validation results out. Nothing here knows of rules, products or modes."""
