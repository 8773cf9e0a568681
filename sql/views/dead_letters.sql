-- One row per dead letter: of a record that was refused more than once, the latest.
-- Grain: a record of a source. Reads all columns asked for of dead_letter, plus letter_id and timestamp.
SELECT *
FROM clickstream_analytics.dead_letter
QUALIFY ROW_NUMBER() OVER (PARTITION BY letter_id ORDER BY timestamp DESC) = 1
