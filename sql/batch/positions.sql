-- Where on the page models are clicked most. Per model, since there are not as many in each place.
-- Grain: a position. Reads location, clothing_model of clickstream_batch; bound by event_date.
SELECT
  location,
  COUNT(DISTINCT clothing_model) AS models,
  COUNT(*) AS clicks,
  ROUND(1.0 * COUNT(*) / COUNT(DISTINCT clothing_model), 2) AS clicks_per_model,
  ROUND(100.0 * COUNT(*) / SUM(COUNT(*)) OVER (), 2) AS percent_of_clicks
FROM clickstream_analytics.clickstream_batch
GROUP BY location
ORDER BY clicks_per_model DESC, location
