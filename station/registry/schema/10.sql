-- Schema 10: the row about the adopted profiles stays. Without it a start would take any profile as adopted.

CREATE TRIGGER profiles_stay BEFORE DELETE ON state WHEN OLD.key = 'profiles'
	BEGIN SELECT RAISE(ABORT, 'the row about the adopted profiles stays'); END;

UPDATE state SET value = '10' WHERE key = 'schema';
