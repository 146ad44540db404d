package configs

// Schema returns the JSON schema (draft 2020-12) of station.yaml, for editors. A test makes it from Config and from the comments of
// station.example.yaml, and compares.
func Schema() []byte { return embedded("station.schema.json") }
