-- Which categories of products earn most, and which are looked at but not bought.
-- Grain: a category. Revenue is in euros, at the rates of view exchange_rates.
-- Reads what view product_performance does; bound by event_date.
SELECT
  category,
  COUNT(DISTINCT product_id) AS products,
  SUM(views) AS views,
  SUM(carts) AS carts,
  SUM(purchases) AS purchases,
  ROUND(100 * SAFE_DIVIDE(SUM(purchases), SUM(views)), 2) AS purchases_per_100_views,
  ROUND(SUM(revenue_eur), 2) AS revenue_eur
FROM clickstream_analytics.product_performance
GROUP BY category
ORDER BY revenue_eur DESC, purchases DESC, views DESC, category
