-- A store of schema version 17, made by the netboot of its time, with the rows that test_migrations.py expects.
BEGIN TRANSACTION;
CREATE TABLE accepted_files (
	position INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (position)
);
INSERT INTO "accepted_files" VALUES(0,'/etc/netboot/hosts.yaml','hosts: {}');
CREATE TABLE allocations (address TEXT NOT NULL, host TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (address));
INSERT INTO "allocations" VALUES('192.0.2.40','worker1','2026-11-21T02:04:00+00:00');
INSERT INTO "allocations" VALUES('2001:db8::40','worker1','2026-11-21T02:04:00+00:00');
CREATE TABLE api_tokens (
            name TEXT NOT NULL, role TEXT NOT NULL, sha256 TEXT NOT NULL, created_at TEXT NOT NULL,
            created_by TEXT NOT NULL, expires_at TEXT, used_at TEXT, PRIMARY KEY (name), UNIQUE (sha256)
        );
INSERT INTO "api_tokens" VALUES('ci','read-only','6666666666666666666666666666666666666666666666666666666666666666','2026-11-21T02:01:00+00:00','alice','2026-11-21T02:59:00+00:00','2026-11-21T02:03:00+00:00');
CREATE TABLE boots (
            mac TEXT NOT NULL, began_at TEXT NOT NULL, host TEXT, last_at TEXT NOT NULL, plan TEXT NOT NULL,
            ended_with TEXT, ended_at TEXT, record JSON NOT NULL, PRIMARY KEY (mac, began_at)
        );
INSERT INTO "boots" VALUES('52:54:00:aa:bb:01','2026-11-21T02:02:00+00:00','cp1','2026-11-21T02:03:00+00:00','install',NULL,NULL,'{"loader": "ipxe-uefi", "facts": {"arch": "x64-uefi", "protocol": "pxe", "vendor_class": "PXEClient", "address": "192.0.2.11"}, "steps": [{"step": "offer", "at": "2026-11-21T02:02:00+00:00", "last_at": "2026-11-21T02:02:00+00:00", "retries": 2, "detail": "snponly.efi"}]}');
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at TEXT NOT NULL, 
	name TEXT NOT NULL, 
	host TEXT, 
	mac TEXT, 
	step TEXT, 
	data JSON NOT NULL
, actor TEXT);
INSERT INTO "events" VALUES(1,'2026-11-21T02:00:00+00:00','install.armed','cp1',NULL,NULL,'{"reason": "first install"}',NULL);
INSERT INTO "events" VALUES(2,'2026-11-21T02:02:00+00:00','boot.offered','cp1','52:54:00:aa:bb:01','offer','{}',NULL);
CREATE TABLE hook_deliveries (
            hook TEXT NOT NULL, event_id INTEGER NOT NULL, subject TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
            attempts INTEGER NOT NULL, next_at TEXT NOT NULL, PRIMARY KEY (hook, event_id)
        );
INSERT INTO "hook_deliveries" VALUES('pager',2,'cp1','2026-11-21T02:02:00.000000+00:00','{}',3,'2026-11-21T02:05:00.000000+00:00');
CREATE TABLE hook_results (
            hook TEXT NOT NULL, delivered_at TEXT, failed_at TEXT, error TEXT, PRIMARY KEY (hook)
        );
INSERT INTO "hook_results" VALUES('pager','2026-11-21T02:01:00.000000+00:00','2026-11-21T02:04:00.000000+00:00','HTTP 500');
CREATE TABLE inspections (
	mac TEXT NOT NULL, 
	requested_at TEXT, 
	medium TEXT, 
	begun_at TEXT, 
	reported_at TEXT, 
	token TEXT, 
	hardware JSON, 
	kind TEXT, 
	requested_medium TEXT, 
	wipe JSON, 
	PRIMARY KEY (mac), 
	UNIQUE (token)
);
INSERT INTO "inspections" VALUES('52:54:00:aa:bb:01',NULL,'ol9','2026-11-21T02:01:00+00:00','2026-11-21T02:02:00+00:00',NULL,'{"firmware": "uefi", "disks": [{"name": "vda", "size_bytes": 480000000000, "serials": ["S1"]}], "cards": []}',NULL,NULL,NULL);
INSERT INTO "inspections" VALUES('52:54:00:aa:bb:02','2026-11-21T02:03:00+00:00','ol9','2026-11-21T02:01:30+00:00',NULL,'55555555555555555555555555555555',NULL,'wipe','ol8','{"host": "worker9", "macs": ["52:54:00:aa:bb:02"], "disk": {"serial": "S9", "wwn": null, "model": null, "min_bytes": null, "max_bytes": null, "rotational": null, "choose": "smallest"}, "state": "requested", "at": "2026-11-21T02:03:00+00:00", "note": ""}');
CREATE TABLE installs (host TEXT NOT NULL, state TEXT NOT NULL, changed_at TEXT, armed_at TEXT, armed_reason TEXT, attempts INTEGER, spent INTEGER, kickstart_token TEXT, ignition_token TEXT, report_token TEXT, version INTEGER NOT NULL, target JSON, checks JSON, node_token TEXT, PRIMARY KEY (host), UNIQUE (kickstart_token), UNIQUE (ignition_token), UNIQUE (report_token));
INSERT INTO "installs" VALUES('cp1','loading','2026-11-21T02:03:00+00:00','2026-11-21T02:00:00+00:00','first install',3,1,'11111111111111111111111111111111','22222222222222222222222222222222','33333333333333333333333333333333',4,'{"macs": ["52:54:00:aa:bb:01"], "disk": "/dev/vda", "release": "ock-1.31", "commit": "5555555555555555555555555555555555555555555555555555555555555555", "addresses": ["192.0.2.11"]}','[["disk", "pass", "/dev/vda, 20 GB"]]','88888888888888888888888888888888');
INSERT INTO "installs" VALUES('worker1','ready',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,9,NULL,NULL,NULL);
CREATE TABLE leases (
	address TEXT NOT NULL, 
	client TEXT NOT NULL, 
	mac TEXT, 
	state TEXT NOT NULL, 
	lease_s INTEGER NOT NULL, 
	ends_at TEXT NOT NULL, 
	PRIMARY KEY (address)
);
INSERT INTO "leases" VALUES('192.0.2.50','01:52:54:00:aa:bb:02','52:54:00:aa:bb:02','bound',3600,'2026-11-21T02:59:00+00:00');
CREATE TABLE machines (mac TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, arch TEXT, vendor_class TEXT, uuid TEXT, addresses JSON NOT NULL, shapes JSON, facts JSON, first_path JSON, last_path JSON, PRIMARY KEY (mac));
INSERT INTO "machines" VALUES('52:54:00:aa:bb:01','2026-11-21T02:01:00+00:00','2026-11-21T02:02:00+00:00','x64-uefi','PXEClient:Arch:00007:UNDI:003016',NULL,'["192.0.2.11"]','{"pxe/x64": "with-43"}','{"manufacturer": "QEMU", "platform": "efi"}','{"relay": "198.51.100.1", "circuit_id": "eth0/1/7", "remote_id": "00:06:02"}','{"relay": "", "circuit_id": "eth0/1/8", "remote_id": ""}');
CREATE TABLE moves (
	id INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	at TEXT NOT NULL, 
	what TEXT NOT NULL, 
	from_state TEXT NOT NULL, 
	to_state TEXT NOT NULL, 
	note TEXT NOT NULL, 
	actor TEXT, 
	source TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "moves" VALUES(1,'cp1','2026-11-21T02:00:00+00:00','armed','registered','registered','first install','uid 0','control-socket');
INSERT INTO "moves" VALUES(2,'cp1','2026-11-21T02:03:00+00:00','script-sent','offered','loading','',NULL,NULL);
CREATE TABLE nodes (
            host TEXT NOT NULL, token_sha256 TEXT, release TEXT, commit_id TEXT, installed_at TEXT NOT NULL,
            report JSON, reported_at TEXT, PRIMARY KEY (host), UNIQUE (token_sha256)
        );
INSERT INTO "nodes" VALUES('worker1', '6aa7acca5a190750ad7fd78d3b146f6d53af92405786e9cf7090aa28fc2fc198', 'ock-1.31', '5555555555555555555555555555555555555555555555555555555555555555', '2026-11-21T02:04:00+00:00', '{"booted": "6666666666666666666666666666666666666666666666666666666666666666", "tag": "1.31"}', '2026-11-21T02:05:00+00:00');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1);
INSERT INTO "schema_version" VALUES(2);
INSERT INTO "schema_version" VALUES(3);
INSERT INTO "schema_version" VALUES(4);
INSERT INTO "schema_version" VALUES(5);
INSERT INTO "schema_version" VALUES(6);
INSERT INTO "schema_version" VALUES(7);
INSERT INTO "schema_version" VALUES(8);
INSERT INTO "schema_version" VALUES(9);
INSERT INTO "schema_version" VALUES(10);
INSERT INTO "schema_version" VALUES(11);
INSERT INTO "schema_version" VALUES(12);
INSERT INTO "schema_version" VALUES(13);
INSERT INTO "schema_version" VALUES(14);
INSERT INTO "schema_version" VALUES(15);
INSERT INTO "schema_version" VALUES(16);
INSERT INTO "schema_version" VALUES(17);
CREATE TABLE served_documents (
	host TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	at TEXT NOT NULL, 
	mac TEXT NOT NULL, 
	base_url TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	text TEXT, 
	PRIMARY KEY (host, kind)
);
INSERT INTO "served_documents" VALUES('cp1','kickstart','2026-11-21T02:03:30+00:00','52:54:00:aa:bb:01','http://192.0.2.10:8080','4444444444444444444444444444444444444444444444444444444444444444','text
');
CREATE TABLE sessions (
            sha256 TEXT NOT NULL, user_name TEXT NOT NULL, address TEXT NOT NULL, began_at TEXT NOT NULL,
            used_at TEXT NOT NULL, PRIMARY KEY (sha256)
        );
INSERT INTO "sessions" VALUES('7777777777777777777777777777777777777777777777777777777777777777','alice','192.0.2.7','2026-11-21T02:02:00+00:00','2026-11-21T02:03:00+00:00');
CREATE TABLE users (
            name TEXT NOT NULL, role TEXT NOT NULL, password_hash TEXT NOT NULL, created_at TEXT NOT NULL,
            changed_at TEXT NOT NULL, logged_in_at TEXT, PRIMARY KEY (name)
        );
INSERT INTO "users" VALUES('alice','admin','$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo','2026-11-21T02:00:00+00:00','2026-11-21T02:01:00+00:00','2026-11-21T02:02:00+00:00');
CREATE INDEX moves_by_host ON moves (host, id);
CREATE INDEX events_by_host ON events (host, id);
CREATE INDEX hook_deliveries_by_subject ON hook_deliveries (hook, subject, event_id);
CREATE INDEX boots_by_host ON boots (host, began_at);
CREATE INDEX boots_by_end ON boots (ended_with, last_at);
CREATE INDEX events_by_mac ON events (mac, id);
CREATE INDEX events_by_name ON events (name, id);
CREATE INDEX events_by_time ON events (at, id);
CREATE INDEX events_of_actors ON events (id, actor) WHERE actor IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',2);
CREATE UNIQUE INDEX installs_by_node_token ON installs (node_token);
COMMIT;
