-- Does a price above the average of its category cost clicks. Per model, since there are not as many
-- models above the average as below it.
-- Grain: a category and a side of its average. Reads category, price_above_average, clothing_model, price
-- of clickstream_batch; bound by event_date.
SELECT
  category,
  price_above_average,
  COUNT(DISTINCT clothing_model) AS models,
  COUNT(*) AS clicks,
  ROUND(1.0 * COUNT(*) / COUNT(DISTINCT clothing_model), 2) AS clicks_per_model,
  ROUND(AVG(price), 2) AS average_price
FROM clickstream_analytics.clickstream_batch
GROUP BY category, price_above_average
ORDER BY category, price_above_average
