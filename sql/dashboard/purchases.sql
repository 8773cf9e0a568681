-- title: Purchases
-- page: stream
-- chart: number
-- order: 30
-- unit: count
-- about: How often something was bought.
-- A row for the range. Reads event_type and the filters' columns of the days asked for; the table is
-- clustered by event_type, so little of them.
SELECT COUNT(*) AS purchases
FROM clickstream_analytics.clicks_raw
WHERE event_date BETWEEN DATE(@from) AND DATE(@to)
  AND event_timestamp >= @from AND event_timestamp < @to
  AND event_type = 'purchase'
  AND (@category IS NULL OR category = @category)
  AND (@country IS NULL OR country = @country)
