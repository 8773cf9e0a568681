-- What was refused, by whom and why, with one message as an example.
-- Grain: a stage and code. Reads stage, code, errorMessage, timestamp of dead_letter; bound by timestamp.
-- It counts letters: a record that was refused twice has two. The other files count records.
SELECT
  stage,
  code,
  COUNT(*) AS letters,
  MIN(errorMessage) AS example,
  MAX(timestamp) AS newest
FROM clickstream_analytics.dead_letter
GROUP BY stage, code
ORDER BY letters DESC, stage, code
