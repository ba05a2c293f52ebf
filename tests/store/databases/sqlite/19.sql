-- A store of schema version 19, made by the netboot of its time, with the rows that test_migrations.py expects.
BEGIN TRANSACTION;
CREATE TABLE accepted_files (
	position INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (position)
);
INSERT INTO "accepted_files" VALUES(0,'/etc/netboot/hosts.yaml','s1.6d0d7123cf62dc74.dYu4RTIoaOkMJXiT4F0K8HY9b1qT_U5ujeY6ADmrv1vfptLXCw==');
CREATE TABLE allocations (address TEXT NOT NULL, host TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (address));
INSERT INTO "allocations" VALUES('192.0.2.40','worker1','2026-11-21T02:04:00+00:00');
INSERT INTO "allocations" VALUES('2001:db8::40','worker1','2026-11-21T02:04:00+00:00');
CREATE TABLE api_tokens (
            name TEXT NOT NULL, role TEXT NOT NULL, sha256 TEXT NOT NULL, created_at TEXT NOT NULL,
            created_by TEXT NOT NULL, expires_at TEXT, used_at TEXT, PRIMARY KEY (name), UNIQUE (sha256)
        );
INSERT INTO "api_tokens" VALUES('ci','read-only','6666666666666666666666666666666666666666666666666666666666666666','2026-11-21T02:01:00+00:00','alice','2026-11-21T02:59:00+00:00','2026-11-21T02:03:00+00:00');
CREATE TABLE appliances (
            id TEXT NOT NULL, name TEXT NOT NULL, place TEXT NOT NULL, url TEXT NOT NULL, version TEXT NOT NULL,
            declared JSON NOT NULL, joined_at TEXT NOT NULL, seen_ms BIGINT NOT NULL, lost_ms BIGINT, PRIMARY KEY (id)
        );
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
	token_sha256 TEXT, 
	hardware JSON, 
	kind TEXT, 
	requested_medium TEXT, 
	wipe JSON, tokens TEXT, 
	PRIMARY KEY (mac), 
	UNIQUE (token_sha256)
);
INSERT INTO "inspections" VALUES('52:54:00:aa:bb:01',NULL,'ol9','2026-11-21T02:01:00+00:00','2026-11-21T02:02:00+00:00',NULL,'{"firmware": "uefi", "disks": [{"name": "vda", "size_bytes": 480000000000, "serials": ["S1"]}], "cards": []}',NULL,NULL,NULL,NULL);
INSERT INTO "inspections" VALUES('52:54:00:aa:bb:02','2026-11-21T02:03:00+00:00','ol9','2026-11-21T02:01:30+00:00',NULL,'b235d9133396f6aa4f6e6a6d6c6cc16bb8cd806f484918177f1d8027afd44687',NULL,'wipe','ol8','{"host": "worker9", "macs": ["52:54:00:aa:bb:02"], "disk": {"serial": "S9", "wwn": null, "model": null, "min_bytes": null, "max_bytes": null, "rotational": null, "choose": "smallest"}, "state": "requested", "at": "2026-11-21T02:03:00+00:00", "note": ""}','s1.6d0d7123cf62dc74._qKf4irUEvqxH86zGUmgCrLI58kG80zShqrzhC8auTS2toET11gBo6ukzNWC7dA-GBEabgmc3RYOOnktMjpXHyFboO1QRdyh4wbCAD9FhxMEKAlZOw==');
CREATE TABLE installs (host TEXT NOT NULL, state TEXT NOT NULL, changed_at TEXT, armed_at TEXT, armed_reason TEXT, attempts INTEGER, spent INTEGER, kickstart_sha256 TEXT, ignition_sha256 TEXT, report_sha256 TEXT, version INTEGER NOT NULL, target JSON, checks JSON, node_sha256 TEXT, tokens TEXT, identity JSON, PRIMARY KEY (host), UNIQUE (kickstart_sha256), UNIQUE (ignition_sha256), UNIQUE (report_sha256));
INSERT INTO "installs" VALUES('cp1','loading','2026-11-21T02:03:00+00:00','2026-11-21T02:00:00+00:00','first install',3,1,'8a83665f3798727f14f92ad0e6c99fdab08ee731d6cd644c131223fd2f4fed2a','0d6ba19b62531ccb0deb8804313eca283c69560f66f1b7b8a2c1592ae8c35c6b','deb0e38ced1e41de6f92e70e80c418d2d356afaaa99e26f5939dbc7d3ef4772a',4,'{"macs": ["52:54:00:aa:bb:01"], "disk": "/dev/vda", "release": "ock-1.31", "commit": "5555555555555555555555555555555555555555555555555555555555555555", "addresses": ["192.0.2.11"]}','[["disk", "pass", "/dev/vda, 20 GB"]]','6aa7acca5a190750ad7fd78d3b146f6d53af92405786e9cf7090aa28fc2fc198','s1.6d0d7123cf62dc74.exI-0SrMCOysUAuy7KmDh5kc2tjheYsG2pZ6eKyiNbhViwe7M3hQh5KiXogRQ2HRNUfClOAAbUH-wq7LiVpo_AQfwF7t93LJRM93iXo1WCVC5Idr1DZzQm8HCTXROp513XI6AaHQGVkiy6RghPGMO6CAfGJOrJswv2K86bZ3Rk86mlchxdu1lEdQZqW0J1m1nrF3kbmAFtCgqswH0otsItYgY0c4gKYUg1WKzwp91AXQ04OgAs7UAkzfvVP_VAJ8dycqy9_IKttdkbkWW14b0RbMWC3sFTs=',NULL);
INSERT INTO "installs" VALUES('worker1','ready',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,9,NULL,NULL,NULL,NULL,'{"recorded": {"identity": {"mac": "52:54:00:aa:bb:03", "address": "192.0.2.40", "uuid": "", "serial": "S7", "switch_port": "", "is_reported": true}, "at": "2026-11-21T02:04:00+00:00", "source": "install"}, "served": null, "is_confirmed": false, "hold": null}');
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
CREATE TABLE machines (mac TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, arch TEXT, vendor_class TEXT, uuid TEXT, addresses JSON NOT NULL, shapes JSON, facts JSON, first_path JSON, last_path JSON, local_boots JSON, PRIMARY KEY (mac));
INSERT INTO "machines" VALUES('52:54:00:aa:bb:01','2026-11-21T02:01:00+00:00','2026-11-21T02:02:00+00:00','x64-uefi','PXEClient:Arch:00007:UNDI:003016',NULL,'["192.0.2.11"]','{"pxe/x64": "with-43"}','{"manufacturer": "QEMU", "platform": "efi"}','{"relay": "198.51.100.1", "circuit_id": "eth0/1/7", "remote_id": "00:06:02"}','{"relay": "", "circuit_id": "eth0/1/8", "remote_id": ""}','{"pxe/x64": {"method": "exit", "state": "verified", "returns": 0, "why": "", "since": "2026-11-21T02:05:00+00:00", "worked": "exit"}}');
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
INSERT INTO "nodes" VALUES('worker1','6aa7acca5a190750ad7fd78d3b146f6d53af92405786e9cf7090aa28fc2fc198','ock-1.31','5555555555555555555555555555555555555555555555555555555555555555','2026-11-21T02:04:00+00:00','{"booted": "6666666666666666666666666666666666666666666666666666666666666666", "tag": "1.31"}','2026-11-21T02:05:00+00:00');
CREATE TABLE power_intents (
            id TEXT NOT NULL, host TEXT NOT NULL, action TEXT NOT NULL, network_boot TEXT, uri TEXT,
            is_forced INTEGER NOT NULL, actor TEXT NOT NULL, source TEXT NOT NULL, requested_at TEXT NOT NULL,
            state TEXT NOT NULL, owner TEXT NOT NULL, sent_at TEXT, ended_at TEXT, detail TEXT NOT NULL,
            PRIMARY KEY (id)
        );
INSERT INTO "power_intents" VALUES('a1b2c3d4e5f6','worker1','pxe','http-uri','http://192.0.2.10:8080/boot/52-54-00-aa-bb-03/snponly.efi',1,'alice','api','2026-11-21T02:06:00.000000+00:00','unknown','7f0e','2026-11-21T02:06:01.000000+00:00','2026-11-21T02:07:00.000000+00:00','the BMC did not answer');
CREATE TABLE rollout_commands (
            rollout INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, record JSON NOT NULL,
            PRIMARY KEY (rollout, kind)
        );
INSERT INTO "rollout_commands" VALUES(1,'start','failed','{"attempts": 1, "began_at": "2026-11-21T02:00:00.000000+00:00", "ended_at": "2026-11-21T02:01:00.000000+00:00", "next_at": "2026-11-21T02:02:00.000000+00:00", "detail": "no route", "printed": 1}');
CREATE TABLE rollout_hosts (
            rollout INTEGER NOT NULL, host TEXT NOT NULL, position INTEGER NOT NULL, part TEXT NOT NULL,
            phase TEXT NOT NULL, permit_sha256 TEXT, permit_until TEXT, requested_at TEXT, served_at TEXT,
            ignition_sha256 TEXT, record JSON NOT NULL, PRIMARY KEY (rollout, host)
        );
INSERT INTO "rollout_hosts" VALUES(1,'cp1',0,'init','joining','8888888888888888888888888888888888888888888888888888888888888888','2026-11-21T02:50:00.000000+00:00','2026-11-21T02:04:00.000000+00:00','2026-11-21T02:06:00.000000+00:00','9999999999999999999999999999999999999999999999999999999999999999','{"changed_at": "2026-11-21T02:05:00.000000+00:00", "reason": "", "wants_install": false, "attempts": 2, "armed_at": "2026-11-21T02:01:00.000000+00:00", "power": "done", "permit_given_at": "2026-11-21T02:05:00.000000+00:00"}');
INSERT INTO "rollout_hosts" VALUES(1,'worker1',1,'worker','waiting',NULL,NULL,NULL,NULL,NULL,'{"changed_at": null, "reason": "waits", "wants_install": true, "attempts": 0, "armed_at": null, "power": "none", "permit_given_at": null}');
CREATE TABLE rollouts (
            id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, active INTEGER, version INTEGER NOT NULL,
            owner TEXT, owned_until TEXT, began_at TEXT NOT NULL, ended_at TEXT, record JSON NOT NULL, UNIQUE (active)
        );
INSERT INTO "rollouts" VALUES(1,'running',1,1,NULL,NULL,'2026-11-21T02:00:00.000000+00:00',NULL,'{"options": {"max_parallel": 2, "failure_budget": 1, "power": false}, "actor": "alice", "reason": "", "has_cluster": false, "replaces": null, "api_answered_at": "2026-11-21T02:07:00.000000+00:00", "forgiven": 1}');
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
INSERT INTO "schema_version" VALUES(18);
INSERT INTO "schema_version" VALUES(19);
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
INSERT INTO "served_documents" VALUES('cp1','kickstart','2026-11-21T02:03:30+00:00','52:54:00:aa:bb:01','http://192.0.2.10:8080','s1.6d0d7123cf62dc74.NbpKVRUebNJo0-Y0aHDNY1pdfDgLkCQ6Y38un-p1CPtLNecn4aVPnehCE65Nl8VwvHvFrjnrvOfNJm52H2czMPXlyzlZeBN3NXc_at_tUlFcqA29nhY8MEjRAHo=','s1.6d0d7123cf62dc74.2YXdu90eWoKF5Y2mNgnC9AFfqOx6-B72edhWOjdkVPxa');
CREATE TABLE sessions (
            sha256 TEXT NOT NULL, user_name TEXT NOT NULL, address TEXT NOT NULL, began_at TEXT NOT NULL,
            used_at TEXT NOT NULL, PRIMARY KEY (sha256)
        );
INSERT INTO "sessions" VALUES('7777777777777777777777777777777777777777777777777777777777777777','alice','192.0.2.7','2026-11-21T02:02:00+00:00','2026-11-21T02:03:00+00:00');
CREATE TABLE store_key (
            id INTEGER NOT NULL, digest TEXT NOT NULL, is_alone INTEGER NOT NULL, PRIMARY KEY (id)
        );
INSERT INTO "store_key" VALUES(1,'6d0d7123cf62dc74',1);
CREATE TABLE users (
            name TEXT NOT NULL, role TEXT NOT NULL, password_hash TEXT NOT NULL, created_at TEXT NOT NULL,
            changed_at TEXT NOT NULL, logged_in_at TEXT, PRIMARY KEY (name)
        );
INSERT INTO "users" VALUES('alice','admin','s1.6d0d7123cf62dc74.T7dqPfBa3n1pcQdQSaMzQuvM3AB9T81MxbNTt5ZGd5_SvQV4OVjURWfxawvPZ5Sfr4ESQCT1R8t1LF4akA5a0mNtIm_oreqoAdp1q-myKY80NgT1fXzQq3SNmOY=','2026-11-21T02:00:00+00:00','2026-11-21T02:01:00+00:00','2026-11-21T02:02:00+00:00');
CREATE INDEX moves_by_host ON moves (host, id);
CREATE INDEX events_by_host ON events (host, id);
CREATE INDEX hook_deliveries_by_subject ON hook_deliveries (hook, subject, event_id);
CREATE INDEX boots_by_host ON boots (host, began_at);
CREATE INDEX boots_by_end ON boots (ended_with, last_at);
CREATE INDEX events_by_mac ON events (mac, id);
CREATE INDEX events_by_name ON events (name, id);
CREATE INDEX events_by_time ON events (at, id);
CREATE INDEX events_of_actors ON events (id, actor) WHERE actor IS NOT NULL;
CREATE UNIQUE INDEX installs_by_node_token ON installs (node_sha256);
CREATE INDEX power_intents_by_host ON power_intents (host, requested_at);
CREATE UNIQUE INDEX power_intents_open ON power_intents (host) WHERE ended_at IS NULL;
CREATE INDEX rollout_hosts_by_host ON rollout_hosts (host, rollout);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',2);
INSERT INTO "sqlite_sequence" VALUES('rollouts',1);
COMMIT;
