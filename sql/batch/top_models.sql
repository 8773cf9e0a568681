-- Which clothing models are looked at most, and at what price.
-- Grain: a model, at most 20. Reads category, clothing_model, price of clickstream_batch; bound by
-- event_date.
SELECT
  category,
  clothing_model,
  COUNT(*) AS clicks,
  MAX(price) AS price
FROM clickstream_analytics.clickstream_batch
GROUP BY category, clothing_model
ORDER BY clicks DESC, clothing_model, category
LIMIT 20
