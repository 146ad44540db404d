-- Schema 9: a work order stays, its quota is only raised, and it is closed once.

CREATE TRIGGER work_order_stays BEFORE DELETE ON work_orders
	BEGIN SELECT RAISE(ABORT, 'work orders stay'); END;
CREATE TRIGGER work_order_fixed BEFORE UPDATE OF id, product, opened ON work_orders
	BEGIN SELECT RAISE(ABORT, 'a work order does not change'); END;
CREATE TRIGGER work_order_raised BEFORE UPDATE OF quota ON work_orders WHEN NEW.quota <= OLD.quota OR OLD.closed IS NOT NULL
	BEGIN SELECT RAISE(ABORT, 'a work order is only raised, and while it is open'); END;
CREATE TRIGGER work_order_closed_once BEFORE UPDATE OF closed ON work_orders WHEN OLD.closed IS NOT NULL
	BEGIN SELECT RAISE(ABORT, 'the work order is closed'); END;
-- A signature that did not come about takes a board out again, also after the end of the order.
CREATE TRIGGER work_order_counted BEFORE UPDATE OF counted ON work_orders WHEN NEW.counted > OLD.counted AND OLD.closed IS NOT NULL
	BEGIN SELECT RAISE(ABORT, 'a closed work order counts no further board'); END;

UPDATE state SET value = '9' WHERE key = 'schema';
