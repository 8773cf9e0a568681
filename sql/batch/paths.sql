-- Where visitors go from a page of a category: to which other, or out of the shop.
-- Grain: a page and the next one, at most 100. A session's last click goes to `leaves`.
-- Reads session_id, click_order, category, page of clickstream_batch; bound by event_date.
WITH clicks AS (
  SELECT
    session_id,
    click_order,
    CONCAT(category, ' ', CAST(page AS STRING)) AS page
  FROM clickstream_analytics.clickstream_batch
),
steps AS (
  SELECT
    page,
    COALESCE(LEAD(page) OVER (PARTITION BY session_id ORDER BY click_order), 'leaves') AS next_page
  FROM clicks
)
SELECT
  page,
  next_page,
  COUNT(*) AS times,
  ROUND(100.0 * COUNT(*) / SUM(COUNT(*)) OVER (PARTITION BY page), 2) AS percent_of_page
FROM steps
GROUP BY page, next_page
ORDER BY times DESC, page, next_page
LIMIT 100
