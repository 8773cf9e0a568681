-- Is a model clicked more often when it is photographed from the front, or in profile. Per model, since
-- there are not as many of each.
-- Grain: a kind of photograph. Reads photography, clothing_model of clickstream_batch; bound by event_date.
SELECT
  photography,
  COUNT(DISTINCT clothing_model) AS models,
  COUNT(*) AS clicks,
  ROUND(1.0 * COUNT(*) / COUNT(DISTINCT clothing_model), 2) AS clicks_per_model,
  ROUND(100.0 * COUNT(*) / SUM(COUNT(*)) OVER (), 2) AS percent_of_clicks
FROM clickstream_analytics.clickstream_batch
GROUP BY photography
ORDER BY clicks_per_model DESC, photography
