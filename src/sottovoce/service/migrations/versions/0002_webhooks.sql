CREATE TABLE endpoints (
    id uuid PRIMARY KEY,
    url text NOT NULL,
    events text[] NOT NULL,
    key_id text NOT NULL,
    wrapped_secret bytea NOT NULL,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz
);

CREATE TABLE events (
    id uuid PRIMARY KEY,
    type text NOT NULL,
    person_id uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    subject_id uuid,
    at timestamptz NOT NULL
);
CREATE INDEX events_of ON events (person_id);

CREATE TABLE deliveries (
    id uuid NOT NULL UNIQUE,
    event_id uuid NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    endpoint_id uuid NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
    attempts integer NOT NULL DEFAULT 0,
    last_at timestamptz,
    outcome text NOT NULL DEFAULT 'pending',
    PRIMARY KEY (event_id, endpoint_id)
);
