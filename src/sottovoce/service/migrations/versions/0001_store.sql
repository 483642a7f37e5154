CREATE TABLE secrets (
    name text PRIMARY KEY,
    key_id text NOT NULL,
    wrapped bytea NOT NULL
);

CREATE TABLE people (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    key_id text NOT NULL,
    wrapped_key bytea NOT NULL,
    sealed bytea NOT NULL,
    purposes text[] NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    scored_revision bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL
) WITH (fillfactor = 70);  -- rows change with every batch: room to do it on the same page,
-- which an index on what changes (as on who is behind) would undo

CREATE TABLE consents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id uuid NOT NULL,
    purpose text NOT NULL
        CHECK (purpose IN ('monitoring', 'warning', 'research', 'external_annotation')),
    granted boolean NOT NULL,
    text_version text NOT NULL,
    source text NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX consents_of ON consents (person_id, purpose, at DESC);

CREATE TABLE messages (
    person_id uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    digest bytea NOT NULL,
    at timestamptz NOT NULL,
    revision bigint NOT NULL,
    position integer NOT NULL,
    received_at timestamptz NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (person_id, digest)
);
CREATE INDEX messages_in_time ON messages (person_id, at, revision, position);
ALTER TABLE messages ALTER COLUMN sealed SET STORAGE EXTERNAL;  -- ciphertext does not compress

CREATE TABLE questionnaires (
    person_id uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    digest bytea NOT NULL,
    id uuid NOT NULL UNIQUE,
    instrument text NOT NULL,
    completed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (person_id, digest)
);

CREATE TABLE estimates (
    id uuid PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    model_id text NOT NULL,
    revision bigint NOT NULL,
    window_end timestamptz,
    made_at timestamptz NOT NULL,
    sealed bytea NOT NULL,
    UNIQUE (person_id, model_id, revision)
);
CREATE INDEX estimates_in_time ON estimates (person_id, window_end);

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('app', 'clinician', 'researcher', 'admin')),
    subject text UNIQUE,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    digest bytea NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE TABLE caseloads (
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    person_id uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    since timestamptz NOT NULL,
    PRIMARY KEY (account_id, person_id)
);
CREATE INDEX caseloads_of ON caseloads (person_id);

CREATE TABLE audit (
    lane smallint NOT NULL,
    number bigint NOT NULL,
    at timestamptz NOT NULL,
    account_id uuid,
    key_id uuid,
    role text NOT NULL,
    action text NOT NULL,
    person_id uuid,
    outcome text NOT NULL,
    mac bytea NOT NULL,
    PRIMARY KEY (lane, number)
);
CREATE INDEX audit_of ON audit (person_id, at);

CREATE TABLE audit_heads (
    lane smallint PRIMARY KEY,
    number bigint NOT NULL,
    mac bytea NOT NULL
) WITH (fillfactor = 10);  -- one small row is locked and changed by every request
INSERT INTO audit_heads (lane, number, mac) SELECT lane, 0, ''::bytea FROM generate_series(0, 15) lane;

CREATE FUNCTION sottovoce_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME;
END;
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON consents
    FOR EACH ROW EXECUTE FUNCTION sottovoce_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION sottovoce_append_only();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON consents
    FOR EACH STATEMENT EXECUTE FUNCTION sottovoce_append_only();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION sottovoce_append_only();

-- What a person agrees to is what the ledger says: of each purpose the line that is latest in its
-- own time counts, a withdrawal before a grant of the same moment. The column lets a request read
-- it under the lock of the person's row.
CREATE FUNCTION sottovoce_consented() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE people SET version = version + 1, purposes = ARRAY(
        SELECT purpose FROM (
            SELECT DISTINCT ON (purpose) purpose, granted FROM consents
            WHERE person_id = NEW.person_id ORDER BY purpose, at DESC, granted, id DESC
        ) latest WHERE granted ORDER BY purpose
    ) WHERE id = NEW.person_id;
    RETURN NULL;
END;
$$;
CREATE TRIGGER consented AFTER INSERT ON consents
    FOR EACH ROW EXECUTE FUNCTION sottovoce_consented();

-- One pending job of a kind for a row: a person, or a delivery. Where one waits already its row is locked until we commit,
-- so that no worker takes it before what it has to read is there; where it is taken, another is
-- made.
CREATE FUNCTION sottovoce_later(kind text, what uuid, due timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text := kind || ':' || what;
BEGIN
    LOOP
        PERFORM 1 FROM procrastinate_jobs
            WHERE queueing_lock = name AND status = 'todo' FOR SHARE;
        EXIT WHEN FOUND;
        BEGIN
            PERFORM procrastinate_defer_jobs_v1(ARRAY[ROW(
                kind, kind, 0, NULL, name, jsonb_build_object('row', what), due
            )::procrastinate_job_to_defer_v1]);
            EXIT;
        EXCEPTION WHEN unique_violation THEN
            NULL;  -- another was made, or came back to be tried again, meanwhile: look at it
        END;
    END LOOP;
END;
$$;
