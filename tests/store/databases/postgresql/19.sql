-- A store of schema version 19, made by the netboot of its time, with the rows that test_migrations.py expects.
CREATE TABLE public.accepted_files (
    "position" integer NOT NULL,
    path text NOT NULL,
    text text NOT NULL
);
CREATE TABLE public.allocations (
    address text NOT NULL,
    host text NOT NULL,
    at text NOT NULL
);
CREATE TABLE public.api_tokens (
    name text NOT NULL,
    role text NOT NULL,
    sha256 text NOT NULL,
    created_at text NOT NULL,
    created_by text NOT NULL,
    expires_at text,
    used_at text
);
CREATE TABLE public.appliances (
    id text NOT NULL,
    name text NOT NULL,
    place text NOT NULL,
    url text NOT NULL,
    version text NOT NULL,
    declared json NOT NULL,
    joined_at text NOT NULL,
    seen_ms bigint NOT NULL,
    lost_ms bigint
);
CREATE TABLE public.boots (
    mac text NOT NULL,
    began_at text NOT NULL,
    host text,
    last_at text NOT NULL,
    plan text NOT NULL,
    ended_with text,
    ended_at text,
    record json NOT NULL
);
CREATE TABLE public.events (
    id integer NOT NULL,
    at text NOT NULL,
    name text NOT NULL,
    host text,
    mac text,
    step text,
    data json NOT NULL,
    actor text
);
CREATE SEQUENCE public.events_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.events_id_seq OWNED BY public.events.id;
CREATE TABLE public.hook_deliveries (
    hook text NOT NULL,
    event_id integer NOT NULL,
    subject text NOT NULL,
    at text NOT NULL,
    body text NOT NULL,
    attempts integer NOT NULL,
    next_at text NOT NULL
);
CREATE TABLE public.hook_results (
    hook text NOT NULL,
    delivered_at text,
    failed_at text,
    error text
);
CREATE TABLE public.inspections (
    mac text NOT NULL,
    requested_at text,
    medium text,
    begun_at text,
    reported_at text,
    token_sha256 text,
    hardware json,
    kind text,
    requested_medium text,
    wipe json,
    tokens text
);
CREATE TABLE public.installs (
    host text NOT NULL,
    state text NOT NULL,
    changed_at text,
    armed_at text,
    armed_reason text,
    attempts integer,
    spent integer,
    kickstart_sha256 text,
    ignition_sha256 text,
    report_sha256 text,
    version integer NOT NULL,
    target json,
    checks json,
    node_sha256 text,
    tokens text,
    identity json
);
CREATE TABLE public.leases (
    address text NOT NULL,
    client text NOT NULL,
    mac text,
    state text NOT NULL,
    lease_s integer NOT NULL,
    ends_at text NOT NULL
);
CREATE TABLE public.machines (
    mac text NOT NULL,
    first_seen text NOT NULL,
    last_seen text NOT NULL,
    arch text,
    vendor_class text,
    uuid text,
    addresses json NOT NULL,
    shapes json,
    facts json,
    first_path json,
    last_path json,
    local_boots json
);
CREATE TABLE public.moves (
    id integer NOT NULL,
    host text NOT NULL,
    at text NOT NULL,
    what text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    note text NOT NULL,
    actor text,
    source text
);
CREATE SEQUENCE public.moves_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.moves_id_seq OWNED BY public.moves.id;
CREATE TABLE public.nodes (
    host text NOT NULL,
    token_sha256 text,
    release text,
    commit_id text,
    installed_at text NOT NULL,
    report json,
    reported_at text
);
CREATE TABLE public.power_intents (
    id text NOT NULL,
    host text NOT NULL,
    action text NOT NULL,
    network_boot text,
    uri text,
    is_forced integer NOT NULL,
    actor text NOT NULL,
    source text NOT NULL,
    requested_at text NOT NULL,
    state text NOT NULL,
    owner text NOT NULL,
    sent_at text,
    ended_at text,
    detail text NOT NULL
);
CREATE TABLE public.rollout_commands (
    rollout integer NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    record json NOT NULL
);
CREATE TABLE public.rollout_hosts (
    rollout integer NOT NULL,
    host text NOT NULL,
    "position" integer NOT NULL,
    part text NOT NULL,
    phase text NOT NULL,
    permit_sha256 text,
    permit_until text,
    requested_at text,
    served_at text,
    ignition_sha256 text,
    record json NOT NULL
);
CREATE TABLE public.rollouts (
    id integer NOT NULL,
    state text NOT NULL,
    active integer,
    version integer NOT NULL,
    owner text,
    owned_until text,
    began_at text NOT NULL,
    ended_at text,
    record json NOT NULL
);
CREATE SEQUENCE public.rollouts_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.rollouts_id_seq OWNED BY public.rollouts.id;
CREATE TABLE public.schema_version (
    version integer NOT NULL
);
CREATE SEQUENCE public.schema_version_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.schema_version_version_seq OWNED BY public.schema_version.version;
CREATE TABLE public.served_documents (
    host text NOT NULL,
    kind text NOT NULL,
    at text NOT NULL,
    mac text NOT NULL,
    base_url text NOT NULL,
    sha256 text NOT NULL,
    text text
);
CREATE TABLE public.sessions (
    sha256 text NOT NULL,
    user_name text NOT NULL,
    address text NOT NULL,
    began_at text NOT NULL,
    used_at text NOT NULL
);
CREATE TABLE public.store_key (
    id integer NOT NULL,
    digest text NOT NULL,
    is_alone integer NOT NULL
);
CREATE TABLE public.users (
    name text NOT NULL,
    role text NOT NULL,
    password_hash text NOT NULL,
    created_at text NOT NULL,
    changed_at text NOT NULL,
    logged_in_at text
);
ALTER TABLE ONLY public.events ALTER COLUMN id SET DEFAULT nextval('public.events_id_seq'::regclass);
ALTER TABLE ONLY public.moves ALTER COLUMN id SET DEFAULT nextval('public.moves_id_seq'::regclass);
ALTER TABLE ONLY public.rollouts ALTER COLUMN id SET DEFAULT nextval('public.rollouts_id_seq'::regclass);
ALTER TABLE ONLY public.schema_version ALTER COLUMN version SET DEFAULT nextval('public.schema_version_version_seq'::regclass);
INSERT INTO public.accepted_files VALUES (0, '/etc/netboot/hosts.yaml', 's1.6d0d7123cf62dc74.3mfng8e1w7MIDCnIBVHN_6QBoHpZKBAT1kKzkMBTuIgu-1p8Dw==');
INSERT INTO public.allocations VALUES ('192.0.2.40', 'worker1', '2026-11-21T02:04:00+00:00');
INSERT INTO public.allocations VALUES ('2001:db8::40', 'worker1', '2026-11-21T02:04:00+00:00');
INSERT INTO public.api_tokens VALUES ('ci', 'read-only', '6666666666666666666666666666666666666666666666666666666666666666', '2026-11-21T02:01:00+00:00', 'alice', '2026-11-21T02:59:00+00:00', '2026-11-21T02:03:00+00:00');
INSERT INTO public.boots VALUES ('52:54:00:aa:bb:01', '2026-11-21T02:02:00+00:00', 'cp1', '2026-11-21T02:03:00+00:00', 'install', NULL, NULL, '{"loader": "ipxe-uefi", "facts": {"arch": "x64-uefi", "protocol": "pxe", "vendor_class": "PXEClient", "address": "192.0.2.11"}, "steps": [{"step": "offer", "at": "2026-11-21T02:02:00+00:00", "last_at": "2026-11-21T02:02:00+00:00", "retries": 2, "detail": "snponly.efi"}]}');
INSERT INTO public.events VALUES (1, '2026-11-21T02:00:00+00:00', 'install.armed', 'cp1', NULL, NULL, '{"reason": "first install"}', NULL);
INSERT INTO public.events VALUES (2, '2026-11-21T02:02:00+00:00', 'boot.offered', 'cp1', '52:54:00:aa:bb:01', 'offer', '{}', NULL);
INSERT INTO public.hook_deliveries VALUES ('pager', 2, 'cp1', '2026-11-21T02:02:00.000000+00:00', '{}', 3, '2026-11-21T02:05:00.000000+00:00');
INSERT INTO public.hook_results VALUES ('pager', '2026-11-21T02:01:00.000000+00:00', '2026-11-21T02:04:00.000000+00:00', 'HTTP 500');
INSERT INTO public.inspections VALUES ('52:54:00:aa:bb:01', NULL, 'ol9', '2026-11-21T02:01:00+00:00', '2026-11-21T02:02:00+00:00', NULL, '{"firmware": "uefi", "disks": [{"name": "vda", "size_bytes": 480000000000, "serials": ["S1"]}], "cards": []}', NULL, NULL, NULL, NULL);
INSERT INTO public.inspections VALUES ('52:54:00:aa:bb:02', '2026-11-21T02:03:00+00:00', 'ol9', '2026-11-21T02:01:30+00:00', NULL, 'b235d9133396f6aa4f6e6a6d6c6cc16bb8cd806f484918177f1d8027afd44687', NULL, 'wipe', 'ol8', '{"host": "worker9", "macs": ["52:54:00:aa:bb:02"], "disk": {"serial": "S9", "wwn": null, "model": null, "min_bytes": null, "max_bytes": null, "rotational": null, "choose": "smallest"}, "state": "requested", "at": "2026-11-21T02:03:00+00:00", "note": ""}', 's1.6d0d7123cf62dc74.4MRFpzeM8UeR9xFXkyO5T4DdFoBAVhLP2ajCdaeaU14nM4JmOOfhX12jEmMl76afiBjiENbch9Gk64lVrS1GIc_xOJNmN9TJihi1-WeqR0AH_sgNrw==');
INSERT INTO public.installs VALUES ('cp1', 'loading', '2026-11-21T02:03:00+00:00', '2026-11-21T02:00:00+00:00', 'first install', 3, 1, '8a83665f3798727f14f92ad0e6c99fdab08ee731d6cd644c131223fd2f4fed2a', '0d6ba19b62531ccb0deb8804313eca283c69560f66f1b7b8a2c1592ae8c35c6b', 'deb0e38ced1e41de6f92e70e80c418d2d356afaaa99e26f5939dbc7d3ef4772a', 4, '{"macs": ["52:54:00:aa:bb:01"], "disk": "/dev/vda", "release": "ock-1.31", "commit": "5555555555555555555555555555555555555555555555555555555555555555", "addresses": ["192.0.2.11"]}', '[["disk", "pass", "/dev/vda, 20 GB"]]', '6aa7acca5a190750ad7fd78d3b146f6d53af92405786e9cf7090aa28fc2fc198', 's1.6d0d7123cf62dc74.fWlWc88Maq6moZfeM0w8srvyzNt_MsBiNu15tIGpZLtABh3Mzgw0JPba9Sz9qXBKQbMAz4wWqptT00uJ_t85gJHAnPNyeHWnp4BDxFcnAJLfIkCC3_5pX-Yln0zgPSYcuv99u0CFZiPNq0GUxu1-Ros2kKWCJyO9XXROoY_mTCWR-8p6ubXSTz1KncySmeqf82URuWeatizxuIk_pV-IyJoWmdrvehx6PrWKV_UvnHW_SH6TP_5ou1TXZVC6tS4IN2YNdgArxwsQTQZ28NFffl_17oo3Wso=', NULL);
INSERT INTO public.installs VALUES ('worker1', 'ready', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 9, NULL, NULL, NULL, NULL, '{"recorded": {"identity": {"mac": "52:54:00:aa:bb:03", "address": "192.0.2.40", "uuid": "", "serial": "S7", "switch_port": "", "is_reported": true}, "at": "2026-11-21T02:04:00+00:00", "source": "install"}, "served": null, "is_confirmed": false, "hold": null}');
INSERT INTO public.leases VALUES ('192.0.2.50', '01:52:54:00:aa:bb:02', '52:54:00:aa:bb:02', 'bound', 3600, '2026-11-21T02:59:00+00:00');
INSERT INTO public.machines VALUES ('52:54:00:aa:bb:01', '2026-11-21T02:01:00+00:00', '2026-11-21T02:02:00+00:00', 'x64-uefi', 'PXEClient:Arch:00007:UNDI:003016', NULL, '["192.0.2.11"]', '{"pxe/x64": "with-43"}', '{"manufacturer": "QEMU", "platform": "efi"}', '{"relay": "198.51.100.1", "circuit_id": "eth0/1/7", "remote_id": "00:06:02"}', '{"relay": "", "circuit_id": "eth0/1/8", "remote_id": ""}', '{"pxe/x64": {"method": "exit", "state": "verified", "returns": 0, "why": "", "since": "2026-11-21T02:05:00+00:00", "worked": "exit"}}');
INSERT INTO public.moves VALUES (1, 'cp1', '2026-11-21T02:00:00+00:00', 'armed', 'registered', 'registered', 'first install', 'uid 0', 'control-socket');
INSERT INTO public.moves VALUES (2, 'cp1', '2026-11-21T02:03:00+00:00', 'script-sent', 'offered', 'loading', '', NULL, NULL);
INSERT INTO public.nodes VALUES ('worker1', '6aa7acca5a190750ad7fd78d3b146f6d53af92405786e9cf7090aa28fc2fc198', 'ock-1.31', '5555555555555555555555555555555555555555555555555555555555555555', '2026-11-21T02:04:00+00:00', '{"booted": "6666666666666666666666666666666666666666666666666666666666666666", "tag": "1.31"}', '2026-11-21T02:05:00+00:00');
INSERT INTO public.power_intents VALUES ('a1b2c3d4e5f6', 'worker1', 'pxe', 'http-uri', 'http://192.0.2.10:8080/boot/52-54-00-aa-bb-03/snponly.efi', 1, 'alice', 'api', '2026-11-21T02:06:00.000000+00:00', 'unknown', '7f0e', '2026-11-21T02:06:01.000000+00:00', '2026-11-21T02:07:00.000000+00:00', 'the BMC did not answer');
INSERT INTO public.rollout_commands VALUES (1, 'start', 'failed', '{"attempts": 1, "began_at": "2026-11-21T02:00:00.000000+00:00", "ended_at": "2026-11-21T02:01:00.000000+00:00", "next_at": "2026-11-21T02:02:00.000000+00:00", "detail": "no route", "printed": 1}');
INSERT INTO public.rollout_hosts VALUES (1, 'cp1', 0, 'init', 'joining', '8888888888888888888888888888888888888888888888888888888888888888', '2026-11-21T02:50:00.000000+00:00', '2026-11-21T02:04:00.000000+00:00', '2026-11-21T02:06:00.000000+00:00', '9999999999999999999999999999999999999999999999999999999999999999', '{"changed_at": "2026-11-21T02:05:00.000000+00:00", "reason": "", "wants_install": false, "attempts": 2, "armed_at": "2026-11-21T02:01:00.000000+00:00", "power": "done", "permit_given_at": "2026-11-21T02:05:00.000000+00:00"}');
INSERT INTO public.rollout_hosts VALUES (1, 'worker1', 1, 'worker', 'waiting', NULL, NULL, NULL, NULL, NULL, '{"changed_at": null, "reason": "waits", "wants_install": true, "attempts": 0, "armed_at": null, "power": "none", "permit_given_at": null}');
INSERT INTO public.rollouts VALUES (1, 'running', 1, 1, NULL, NULL, '2026-11-21T02:00:00.000000+00:00', NULL, '{"options": {"max_parallel": 2, "failure_budget": 1, "power": false}, "actor": "alice", "reason": "", "has_cluster": false, "replaces": null, "api_answered_at": "2026-11-21T02:07:00.000000+00:00", "forgiven": 1}');
INSERT INTO public.schema_version VALUES (1);
INSERT INTO public.schema_version VALUES (2);
INSERT INTO public.schema_version VALUES (3);
INSERT INTO public.schema_version VALUES (4);
INSERT INTO public.schema_version VALUES (5);
INSERT INTO public.schema_version VALUES (6);
INSERT INTO public.schema_version VALUES (7);
INSERT INTO public.schema_version VALUES (8);
INSERT INTO public.schema_version VALUES (9);
INSERT INTO public.schema_version VALUES (10);
INSERT INTO public.schema_version VALUES (11);
INSERT INTO public.schema_version VALUES (12);
INSERT INTO public.schema_version VALUES (13);
INSERT INTO public.schema_version VALUES (14);
INSERT INTO public.schema_version VALUES (15);
INSERT INTO public.schema_version VALUES (16);
INSERT INTO public.schema_version VALUES (17);
INSERT INTO public.schema_version VALUES (18);
INSERT INTO public.schema_version VALUES (19);
INSERT INTO public.served_documents VALUES ('cp1', 'kickstart', '2026-11-21T02:03:30+00:00', '52:54:00:aa:bb:01', 'http://192.0.2.10:8080', 's1.6d0d7123cf62dc74.TKhGhYuDEb20a8dork9ybwyWWYcI0ERUI6ijhNpiaL1Vl927u6r6F0MrqKCNA2U6arxzNRcxbZbCY7y3slqLXiWYRPQenv9fKE3T2Q2anxtY4FzSVDpBbxHXEok=', 's1.6d0d7123cf62dc74.s8KJHXS5cNGTzogQvSeM6yuHo0TrWrmrRx0sRUdKLvEe');
INSERT INTO public.sessions VALUES ('7777777777777777777777777777777777777777777777777777777777777777', 'alice', '192.0.2.7', '2026-11-21T02:02:00+00:00', '2026-11-21T02:03:00+00:00');
INSERT INTO public.store_key VALUES (1, '6d0d7123cf62dc74', 1);
INSERT INTO public.users VALUES ('alice', 'admin', 's1.6d0d7123cf62dc74.Hjy-lydk-oc1uRwcyIjVdTffvNOvySgpIUWV7J74n1uVc2VfdFla8xVtenfW3nzU6lm1TgIp6WZ_ue1AIq8HfQesyBAV1_h7F3y3n3Thwvfn8XqooMK6A5XY_3A=', '2026-11-21T02:00:00+00:00', '2026-11-21T02:01:00+00:00', '2026-11-21T02:02:00+00:00');
SELECT pg_catalog.setval('public.events_id_seq', 2, true);
SELECT pg_catalog.setval('public.moves_id_seq', 2, true);
SELECT pg_catalog.setval('public.rollouts_id_seq', 1, true);
SELECT pg_catalog.setval('public.schema_version_version_seq', 1, false);
ALTER TABLE ONLY public.accepted_files
    ADD CONSTRAINT accepted_files_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.allocations
    ADD CONSTRAINT allocations_pkey PRIMARY KEY (address);
ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_sha256_key UNIQUE (sha256);
ALTER TABLE ONLY public.appliances
    ADD CONSTRAINT appliances_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.boots
    ADD CONSTRAINT boots_pkey PRIMARY KEY (mac, began_at);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.hook_deliveries
    ADD CONSTRAINT hook_deliveries_pkey PRIMARY KEY (hook, event_id);
ALTER TABLE ONLY public.hook_results
    ADD CONSTRAINT hook_results_pkey PRIMARY KEY (hook);
ALTER TABLE ONLY public.inspections
    ADD CONSTRAINT inspections_pkey PRIMARY KEY (mac);
ALTER TABLE ONLY public.inspections
    ADD CONSTRAINT inspections_token_sha256_key UNIQUE (token_sha256);
ALTER TABLE ONLY public.installs
    ADD CONSTRAINT installs_ignition_sha256_key UNIQUE (ignition_sha256);
ALTER TABLE ONLY public.installs
    ADD CONSTRAINT installs_kickstart_sha256_key UNIQUE (kickstart_sha256);
ALTER TABLE ONLY public.installs
    ADD CONSTRAINT installs_pkey PRIMARY KEY (host);
ALTER TABLE ONLY public.installs
    ADD CONSTRAINT installs_report_sha256_key UNIQUE (report_sha256);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (address);
ALTER TABLE ONLY public.machines
    ADD CONSTRAINT machines_pkey PRIMARY KEY (mac);
ALTER TABLE ONLY public.moves
    ADD CONSTRAINT moves_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (host);
ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_token_sha256_key UNIQUE (token_sha256);
ALTER TABLE ONLY public.power_intents
    ADD CONSTRAINT power_intents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.rollout_commands
    ADD CONSTRAINT rollout_commands_pkey PRIMARY KEY (rollout, kind);
ALTER TABLE ONLY public.rollout_hosts
    ADD CONSTRAINT rollout_hosts_pkey PRIMARY KEY (rollout, host);
ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_active_key UNIQUE (active);
ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.served_documents
    ADD CONSTRAINT served_documents_pkey PRIMARY KEY (host, kind);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (sha256);
ALTER TABLE ONLY public.store_key
    ADD CONSTRAINT store_key_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (name);
CREATE INDEX boots_by_end ON public.boots USING btree (ended_with, last_at);
CREATE INDEX boots_by_host ON public.boots USING btree (host, began_at);
CREATE INDEX events_by_host ON public.events USING btree (host, id);
CREATE INDEX events_by_mac ON public.events USING btree (mac, id);
CREATE INDEX events_by_name ON public.events USING btree (name, id);
CREATE INDEX events_by_time ON public.events USING btree (at, id);
CREATE INDEX events_of_actors ON public.events USING btree (id, actor) WHERE (actor IS NOT NULL);
CREATE INDEX hook_deliveries_by_subject ON public.hook_deliveries USING btree (hook, subject, event_id);
CREATE UNIQUE INDEX installs_by_node_token ON public.installs USING btree (node_sha256);
CREATE INDEX moves_by_host ON public.moves USING btree (host, id);
CREATE INDEX power_intents_by_host ON public.power_intents USING btree (host, requested_at);
CREATE UNIQUE INDEX power_intents_open ON public.power_intents USING btree (host) WHERE (ended_at IS NULL);
CREATE INDEX rollout_hosts_by_host ON public.rollout_hosts USING btree (host, rollout);
