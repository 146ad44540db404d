-- Schema 5: cosignatures of witnesses and mirrors over checkpoints (C2SP tlog-cosignature), and
-- time stamps of checkpoints (RFC 3161).

CREATE TABLE cosignatures (
	size   INTEGER NOT NULL REFERENCES audit_checkpoint (size),
	signer TEXT NOT NULL, -- name and key id of the witness, as in its signature line
	line   TEXT NOT NULL, -- the signature line, with its end
	PRIMARY KEY (size, signer)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER cosignature_stays BEFORE DELETE ON cosignatures
	BEGIN SELECT RAISE(ABORT, 'cosignatures are append-only'); END;
CREATE TRIGGER cosignature_fixed BEFORE UPDATE ON cosignatures
	BEGIN SELECT RAISE(ABORT, 'cosignatures are append-only'); END;

CREATE TABLE timestamps (
	size   INTEGER PRIMARY KEY REFERENCES audit_checkpoint (size),
	sha256 BLOB NOT NULL CHECK (length(sha256) = 32), -- of the answer
	answer BLOB NOT NULL -- TimeStampResp (RFC 3161 section 2.4.2)
) STRICT;
CREATE TRIGGER timestamp_stays BEFORE DELETE ON timestamps
	BEGIN SELECT RAISE(ABORT, 'time stamps are append-only'); END;
CREATE TRIGGER timestamp_fixed BEFORE UPDATE ON timestamps
	BEGIN SELECT RAISE(ABORT, 'time stamps are append-only'); END;

UPDATE state SET value = '5' WHERE key = 'schema';
