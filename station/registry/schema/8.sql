-- Schema 8: work orders can be closed.

ALTER TABLE work_orders ADD COLUMN closed TEXT; -- time of the entry that closed the order; NULL: open
CREATE INDEX certificates_of_order ON certificates (work_order) WHERE work_order IS NOT NULL;

UPDATE state SET value = '8' WHERE key = 'schema';
