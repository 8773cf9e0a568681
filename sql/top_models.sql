-- Which clothing models are looked at most. A row is a model. Reads three columns of the table.
SELECT
  category,
  clothing_model,
  COUNT(*) AS clicks,
  MAX(price) AS price
FROM clickstream_analytics.clickstream_batch
GROUP BY category, clothing_model
ORDER BY clicks DESC, clothing_model
LIMIT 20
