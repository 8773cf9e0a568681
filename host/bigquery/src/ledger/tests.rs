use super::*;

#[test]
fn a_stream_names_its_table() {
    let table = table_of("projects/p/datasets/d/tables/t/streams/s");
    assert_eq!(table, TableName { dataset: "d".to_owned(), table: "t".to_owned() });
}

#[test]
fn streams_of_several_tables_are_entered_with_their_rows() {
    let stream = |name: &str, rows| RowsStream { name: name.to_owned(), rows };
    let (a, b) = (
        stream("projects/p/datasets/d/tables/a/streams/s", 5),
        stream("projects/p/datasets/d/tables/b/streams/t", 7),
    );
    let entry = Entry {
        load_id: "l".to_owned(),
        pipeline: "p".to_owned(),
        table: TableName { dataset: "d".to_owned(), table: "a".to_owned() },
        source: "o@1".to_owned(),
        bytes: 0,
        rows_in: 12,
        rows_out: 5,
        rows_rejected: 0,
        rows_filtered: 0,
        plugin_set: clickmill_core::Digest::of(b"set"),
        started_at: clickmill_core::Micros::default(),
        finished_at: clickmill_core::Micros::default(),
    };
    let prepared = |streams: &[RowsStream]| Prepared::of(&entry, streams, None);
    assert_eq!(prepared(&[]).rows, None);
    assert_eq!(prepared(&[]).streams(), []);
    // As entries have it that earlier versions made.
    assert_eq!(prepared(std::slice::from_ref(&a)).rows.as_ref(), Some(&a.name));
    assert_eq!(prepared(std::slice::from_ref(&a)).streams(), std::slice::from_ref(&a));
    assert_eq!(prepared(&[a.clone(), b.clone()]).streams(), [a, b]);
}

#[test]
fn a_stream_is_gone_only_where_the_service_says_so() {
    use StorageErrorCode::*;
    for (codes, standing) in [
        (&[StreamAlreadyCommitted][..], Some(true)),
        (&[InvalidStreamState, StreamAlreadyCommitted], Some(true)),
        (&[StreamNotFound], Some(false)),
        (&[TableNotFound], Some(false)),
        (&[InvalidStreamState], Some(false)),
        (&[KmsServiceError], None),
        (&[Unspecified], None),
        (&[], None),
    ] {
        assert_eq!(standing_of(codes.iter()), standing, "{codes:?}");
    }
}
