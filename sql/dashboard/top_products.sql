-- title: Top products
-- page: stream
-- chart: table
-- order: 150
-- about: The products that are bought most, with their views and carts; bots are left out.
-- A row is a product, at most 20. Revenue is in euros, as in tile revenue. Reads product_id, category,
-- event_type, price, quantity, currency and the filters' columns of the days asked for.
SELECT
  product_id AS product,
  category,
  COUNTIF(event_type = 'product_view') AS views,
  COUNTIF(event_type = 'add_to_cart') AS carts,
  COUNTIF(event_type = 'purchase') AS purchases,
  ROUND(SUM(IF(event_type = 'purchase', price * IFNULL(quantity, 1) / per_euro, 0.0)), 2) AS revenue_eur
FROM clickstream_analytics.clicks_raw AS clicks
LEFT JOIN clickstream_analytics.exchange_rates AS rates ON rates.currency = UPPER(clicks.currency)
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND event_type IN ('product_view', 'add_to_cart', 'purchase')
  AND product_id IS NOT NULL
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
  AND is_bot IS NOT TRUE
GROUP BY product_id, category
ORDER BY purchases DESC, carts DESC, views DESC, product, category
LIMIT 20
