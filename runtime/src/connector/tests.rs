use super::*;

/// Everything in the splits of a source, a reader for each step of `limit` records.
fn read_in_steps<S: Source>(source: &S, limit: usize) -> Vec<Vec<S::Item>> {
    let read_split = |split| {
        let (mut records, mut errors, mut from) = (Vec::new(), Vec::new(), None);
        loop {
            let mut reader = source.open(&split, from.as_ref()).expect("a good split");
            let before = records.len();
            let fill = reader.fill(&mut records, &mut errors, limit).expect("nothing can fail");
            assert!(records.len() - before <= limit);
            from = Some(reader.offset());
            if fill == Fill::Finished {
                return records;
            }
        }
    };
    source.discover().expect("nothing can fail").into_iter().map(read_split).collect()
}

#[test]
fn a_generator_shares_its_numbers_among_its_splits() {
    for count in [0, 1, 5, 100] {
        for splits in 1..5 {
            let generator = Generator::new(count, |i| i).splits(splits);
            for limit in [1, 3, 1_000] {
                let expected: Vec<Vec<u64>> =
                    (0..splits as u64).map(|p| (0..count).filter(|i| i % splits as u64 == p).collect()).collect();
                assert_eq!(read_in_steps(&generator, limit), expected);
            }
        }
    }
}

#[test]
fn an_unbounded_generator_goes_on() {
    let generator = Generator::unbounded(|i| i * 2);
    let splits = generator.discover().expect("nothing can fail");
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    let mut reader = generator.open(&splits[0], None).expect("a good split");
    assert_eq!(reader.fill(&mut records, &mut errors, 3).expect("nothing can fail"), Fill::More);
    assert_eq!(records, [0, 2, 4]);
}

#[test]
fn memory_is_read_in_fixed_parts() {
    let memory = Memory::new((0..10).collect()).splits(3);
    for limit in [1, 3, 1_000] {
        assert_eq!(read_in_steps(&memory, limit), [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8, 9]]);
    }
    assert_eq!(read_in_steps(&Memory::<u8>::new(Vec::new()), 1), [Vec::<u8>::new()]);
}

#[test]
fn memory_of_another_length_is_refused() {
    let splits = Memory::new(vec![1, 2]).discover().expect("nothing can fail");
    let error = Memory::new(vec![1]).open(&splits[0], None).err().expect("other records");
    assert_eq!(error.message(), "the checkpoint reads 2 records from memory, the flow now has 1");
}
