-- Schema 10: boards on hold. No Run takes such a board, and the verifier refuses its certificates, until it is released.

CREATE TABLE holds (
	board_id TEXT PRIMARY KEY REFERENCES boards (id),
	since    TEXT,         -- time of the entry that put the board on hold; NULL: it was released
	reason   TEXT NOT NULL -- of the newest entry
) STRICT, WITHOUT ROWID;
CREATE TRIGGER hold_stays BEFORE DELETE ON holds
	BEGIN SELECT RAISE(ABORT, 'holds stay'); END;

-- The row about the adopted profiles stays. Without it a start would take any profile as adopted.
CREATE TRIGGER profiles_stay BEFORE DELETE ON state WHEN OLD.key = 'profiles'
	BEGIN SELECT RAISE(ABORT, 'the row about the adopted profiles stays'); END;

UPDATE state SET value = '10' WHERE key = 'schema';
