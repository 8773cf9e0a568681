-- title: Photography
-- page: batch
-- chart: bar
-- order: 170
-- about: How often a model is clicked, by how it is photographed.
-- A row is a kind of photograph. Per model, since there are not as many models of each: a plain count
-- of clicks would mostly tell how much is on offer. Reads photography, clothing_model and the
-- filters' columns of the days asked for.
SELECT
  photography,
  ROUND(SAFE_DIVIDE(COUNT(*), APPROX_COUNT_DISTINCT(clothing_model)), 1) AS clicks_per_model
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
GROUP BY photography
ORDER BY clicks_per_model DESC, photography
