-- One row per dead letter: of a record that a pipeline refused more than once, the latest; with how often it
-- was tried, and since when and by which plugin set it is resolved, for whichever table.
-- Grain: a row that a pipeline refused, of a record of a source. Reads all columns asked for of dead_letter, plus
-- pipeline, letter_id and timestamp, and dead_letter_attempts.
SELECT
  letters.*,
  1 + COALESCE(tries.tries, 0) AS attempts,
  tries.resolved_at,
  tries.resolved_by
FROM (
  SELECT *
  FROM clickstream_analytics.dead_letter
  QUALIFY ROW_NUMBER() OVER (PARTITION BY pipeline, letter_id ORDER BY timestamp DESC) = 1
) AS letters
LEFT JOIN (
  SELECT
    pipeline,
    letter_id,
    COUNT(*) AS tries,
    MAX(CASE WHEN outcome <> 'rejected' THEN attempted_at END) AS resolved_at,
    MAX(CASE WHEN outcome <> 'rejected' THEN plugin_set END) AS resolved_by
  FROM clickstream_analytics.dead_letter_attempts
  GROUP BY pipeline, letter_id
) AS tries
ON tries.pipeline = letters.pipeline AND tries.letter_id = letters.letter_id
