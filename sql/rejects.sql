-- What was refused, by whom and why, with one message as an example. A row is a stage and code.
SELECT
  stage,
  code,
  COUNT(*) AS letters,
  MIN(errorMessage) AS example,
  MAX(timestamp) AS newest
FROM clickstream_analytics.dead_letter
GROUP BY stage, code
ORDER BY letters DESC, stage, code
