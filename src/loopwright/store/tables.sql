CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE driver (
	n INTEGER NOT NULL, 
	run TEXT NOT NULL, 
	token TEXT NOT NULL, 
	boot TEXT NOT NULL, 
	space TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	began TEXT NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT driver_identity UNIQUE (run)
);
CREATE TABLE run (
	n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id TEXT NOT NULL, 
	spec TEXT NOT NULL, 
	spec_hash TEXT NOT NULL, 
	code_version TEXT NOT NULL, 
	seed INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	budget TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	created FLOAT NOT NULL, 
	updated FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	sum INTEGER NOT NULL, 
	CONSTRAINT run_identity UNIQUE (id)
);
CREATE TABLE effect (
	n INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	content TEXT NOT NULL, 
	ordinal INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	summary TEXT NOT NULL, 
	result BLOB NOT NULL, 
	calls INTEGER NOT NULL, 
	prompt_tokens INTEGER NOT NULL, 
	completion_tokens INTEGER NOT NULL, 
	seconds FLOAT NOT NULL, 
	money FLOAT NOT NULL, 
	error TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	sum INTEGER NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT effect_identity UNIQUE (run, "key")
);
CREATE TABLE cache (
	n INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	value BLOB NOT NULL, 
	run TEXT NOT NULL, 
	model TEXT NOT NULL, 
	system_fingerprint TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	sum INTEGER NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT cache_identity UNIQUE ("key")
);
CREATE TABLE candidate (
	n INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	data BLOB NOT NULL, 
	"by" TEXT NOT NULL, 
	round INTEGER NOT NULL, 
	sum INTEGER NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT candidate_identity UNIQUE (run, hash)
);
CREATE TABLE rollout (
	n INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	candidate TEXT NOT NULL, 
	example TEXT NOT NULL, 
	split TEXT NOT NULL, 
	round INTEGER NOT NULL, 
	replicate INTEGER NOT NULL, 
	score FLOAT, 
	data BLOB NOT NULL, 
	sum INTEGER NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT rollout_identity UNIQUE (run, id)
);
CREATE TABLE feedback (
	n INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	idempotency TEXT NOT NULL, 
	target TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	rater TEXT NOT NULL, 
	rater_kind TEXT NOT NULL, 
	data BLOB NOT NULL, 
	sum INTEGER NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT feedback_identity UNIQUE (run, idempotency)
);
CREATE TABLE event (
	n INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	type TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	sum INTEGER NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT event_order UNIQUE (run, seq)
);
CREATE UNIQUE INDEX event_identity ON event (run, "key") WHERE key <> '';
CREATE TABLE learner (
	n INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	sum INTEGER NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT learner_identity UNIQUE (name)
);
CREATE TABLE trial (
	n INTEGER NOT NULL, 
	learner TEXT NOT NULL, 
	id TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	data BLOB NOT NULL, 
	sum INTEGER NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT trial_identity UNIQUE (learner, id)
);
CREATE INDEX trial_age ON trial (learner, time);
CREATE TABLE value (
	n INTEGER NOT NULL, 
	digest BLOB NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (n), 
	CONSTRAINT value_identity UNIQUE (digest)
);
CREATE TABLE tally (
	run INTEGER NOT NULL, 
	part TEXT NOT NULL, 
	rows INTEGER NOT NULL, 
	total INTEGER NOT NULL, 
	first INTEGER NOT NULL, 
	PRIMARY KEY (run, part)
)
 WITHOUT ROWID

;
CREATE TRIGGER effect_insert AFTER INSERT ON effect BEGIN INSERT INTO tally VALUES (new.run, 'effect', 1, new.sum, new.n) ON CONFLICT (run, part) DO UPDATE SET rows = rows + 1, total = (total + excluded.total) & 281474976710655; END;
CREATE TRIGGER effect_update AFTER UPDATE ON effect BEGIN UPDATE tally SET total = (total - old.sum + new.sum) & 281474976710655 WHERE run = old.run AND part = 'effect'; END;
CREATE TRIGGER effect_delete AFTER DELETE ON effect BEGIN UPDATE tally SET rows = rows - 1, total = (total - old.sum) & 281474976710655 WHERE run = old.run AND part = 'effect'; END;
CREATE TRIGGER candidate_insert AFTER INSERT ON candidate BEGIN INSERT INTO tally VALUES (new.run, 'candidate', 1, new.sum, new.n) ON CONFLICT (run, part) DO UPDATE SET rows = rows + 1, total = (total + excluded.total) & 281474976710655; END;
CREATE TRIGGER candidate_update AFTER UPDATE ON candidate BEGIN UPDATE tally SET total = (total - old.sum + new.sum) & 281474976710655 WHERE run = old.run AND part = 'candidate'; END;
CREATE TRIGGER candidate_delete AFTER DELETE ON candidate BEGIN UPDATE tally SET rows = rows - 1, total = (total - old.sum) & 281474976710655 WHERE run = old.run AND part = 'candidate'; END;
CREATE TRIGGER rollout_insert AFTER INSERT ON rollout BEGIN INSERT INTO tally VALUES (new.run, 'rollout/' || new.split, 1, new.sum, new.n) ON CONFLICT (run, part) DO UPDATE SET rows = rows + 1, total = (total + excluded.total) & 281474976710655; END;
CREATE TRIGGER rollout_update AFTER UPDATE ON rollout BEGIN UPDATE tally SET total = (total - old.sum + new.sum) & 281474976710655 WHERE run = old.run AND part = 'rollout/' || old.split; END;
CREATE TRIGGER rollout_delete AFTER DELETE ON rollout BEGIN UPDATE tally SET rows = rows - 1, total = (total - old.sum) & 281474976710655 WHERE run = old.run AND part = 'rollout/' || old.split; END;
CREATE TRIGGER feedback_insert AFTER INSERT ON feedback BEGIN INSERT INTO tally VALUES (new.run, 'feedback', 1, new.sum, new.n) ON CONFLICT (run, part) DO UPDATE SET rows = rows + 1, total = (total + excluded.total) & 281474976710655; END;
CREATE TRIGGER feedback_update AFTER UPDATE ON feedback BEGIN UPDATE tally SET total = (total - old.sum + new.sum) & 281474976710655 WHERE run = old.run AND part = 'feedback'; END;
CREATE TRIGGER feedback_delete AFTER DELETE ON feedback BEGIN UPDATE tally SET rows = rows - 1, total = (total - old.sum) & 281474976710655 WHERE run = old.run AND part = 'feedback'; END;
CREATE TRIGGER event_insert AFTER INSERT ON event BEGIN INSERT INTO tally VALUES (new.run, 'event', 1, new.sum, new.n) ON CONFLICT (run, part) DO UPDATE SET rows = rows + 1, total = (total + excluded.total) & 281474976710655; END;
CREATE TRIGGER event_update AFTER UPDATE ON event BEGIN UPDATE tally SET total = (total - old.sum + new.sum) & 281474976710655 WHERE run = old.run AND part = 'event'; END;
CREATE TRIGGER event_delete AFTER DELETE ON event BEGIN UPDATE tally SET rows = rows - 1, total = (total - old.sum) & 281474976710655 WHERE run = old.run AND part = 'event'; END;
INSERT INTO alembic_version VALUES ('0005');
PRAGMA application_id = 1280770053
