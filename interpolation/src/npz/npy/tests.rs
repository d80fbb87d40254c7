use super::*;

fn array(header: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).expect("a short header");
    [MAGIC, &[1, 0], &length.to_le_bytes(), header.as_bytes(), data].concat()
}

fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
}

#[track_caller]
fn reads(descr: &str, data: &[u8], expected: &[f64]) {
    let shape = format!("({},)", expected.len());
    assert_eq!(
        read(&array(&header(descr, &shape), data)).as_deref(),
        Ok(expected)
    );
}

#[test]
fn accepts_what_numpy_users_write() {
    reads(
        "<f8",
        &[1.5_f64.to_le_bytes(), 2.0_f64.to_le_bytes()].concat(),
        &[1.5, 2.0],
    );
    reads(">f8", &1.5_f64.to_be_bytes(), &[1.5]);
    reads("<f4", &0.25_f32.to_le_bytes(), &[0.25]);
    reads("<i8", &945_029_i64.to_le_bytes(), &[945_029.0]);
    reads(">i4", &7_i32.to_be_bytes(), &[7.0]);
    reads("<u8", &7_u64.to_le_bytes(), &[7.0]);
    reads("<u4", &7_u32.to_le_bytes(), &[7.0]);
    assert_eq!(
        read(&array(&header("<i8", "()"), &3_i64.to_le_bytes())),
        Ok(vec![3.0])
    );
}

#[test]
fn refuses_what_it_cannot_read() {
    assert_eq!(read(b"PK"), Err(ArrayProblem::NotAnArray));
    assert_eq!(
        read(&array("{}", &[])),
        Err(ArrayProblem::Header { key: "descr" })
    );
    assert_eq!(
        read(&array(&header("|O", "(1,)"), &[0; 8])),
        Err(ArrayProblem::Type {
            descr: "|O".to_owned()
        })
    );
    assert_eq!(
        read(&array(&header("<f8", "(2, 2)"), &[0; 32])),
        Err(ArrayProblem::Dimensions {
            shape: "2, 2".to_owned()
        })
    );
    assert_eq!(
        read(&array(&header("<f8", "(3,)"), &[0; 17])),
        Err(ArrayProblem::Truncated {
            expected: 24,
            found: 17
        })
    );
    assert_eq!(
        read(&array(&header("<i8", "(1,)"), &(-1_i64).to_le_bytes())),
        Err(ArrayProblem::Negative { index: 0 })
    );
}

#[test]
fn the_data_start_at_a_multiple_of_64() {
    let bytes = write_real([1.0, 2.0]);
    assert_eq!((bytes.len() - 16) % ALIGNMENT, 0);
    assert_eq!(read(&bytes), Ok(vec![1.0, 2.0]));
    assert_eq!(read(&write_whole(&[5, 7])), Ok(vec![5.0, 7.0]));
}
