-- Schema 12: the entries about a board that lie outside of its Runs are found without the whole log.

-- The key is the BoardID of the entry. What happens in each Run is left out, because the Run has its first and its last entry: so the
-- index stays small. An entry in an archive has no body here, and is not in the index.
CREATE INDEX audit_entry_outside ON audit_entry (
	substr(substr(body, instr(body, CAST(',"board":{' AS BLOB))), instr(substr(body, instr(body, CAST(',"board":{' AS BLOB))), CAST('"id":"' AS BLOB)) + 6, 36))
	WHERE instr(body, CAST(',"board":{' AS BLOB)) > 0
	AND instr(body, CAST('"type":"board.admitted","v":' AS BLOB)) = 0
	AND instr(body, CAST('"type":"cert.issue.intent","v":' AS BLOB)) = 0
	AND instr(body, CAST('"type":"cert.issued","v":' AS BLOB)) = 0
	AND instr(body, CAST('"type":"cert.delivered","v":' AS BLOB)) = 0
	AND instr(body, CAST('"type":"cert.activated","v":' AS BLOB)) = 0
	AND instr(body, CAST('"type":"run.pass","v":' AS BLOB)) = 0;

UPDATE state SET value = '12' WHERE key = 'schema';
