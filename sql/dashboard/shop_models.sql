-- title: Top models
-- page: batch
-- chart: table
-- order: 140
-- about: The clothing models that are clicked most.
-- A row is a model, at most 20. Reads clothing_model, category, price and the filters' columns of the days
-- asked for.
SELECT
  clothing_model AS model,
  category,
  COUNT(*) AS clicks,
  ROUND(AVG(price), 2) AS price
FROM clickstream_analytics.clickstream_batch
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
GROUP BY clothing_model, category
ORDER BY clicks DESC, model, category
LIMIT 20
