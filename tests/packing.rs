//! Packs made-up logs in everything that people keep them in.

use lzma_rust2::{LzipOptions, LzipWriter, LzmaOptions, LzmaWriter, XzOptions, XzWriter};
use sevenz_rust2::encoder_options::AesEncoderOptions;
use sevenz_rust2::{ArchiveEntry, ArchiveWriter, EncoderConfiguration, EncoderMethod, Password};
use std::io::{Cursor, Write};
use zip::unstable::write::FileOptionsExt;
use zip::write::SimpleFileOptions;

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = XzWriter::new(Vec::new(), XzOptions::with_preset(0)).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn lzma(bytes: &[u8]) -> Vec<u8> {
    let options = LzmaOptions::with_preset(0);
    let mut out = LzmaWriter::new_use_header(Vec::new(), &options, None).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn lzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = LzipWriter::new(Vec::new(), LzipOptions::with_preset(0));
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn utf16(text: &[u8], has_mark: bool) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    let mark = has_mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

pub(crate) fn zip_with(method: zip::CompressionMethod, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    zip_of(SimpleFileOptions::default().compression_method(method), members)
}

/// A zip in the weak encryption of old ones.
pub(crate) fn locked_zip(password: &str, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let options = SimpleFileOptions::default().with_deprecated_encryption(password.as_bytes());
    zip_of(options.unwrap(), members)
}

/// A zip in the encryption of 7-Zip and WinZip.
pub(crate) fn locked_aes_zip(password: &str, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options =
            SimpleFileOptions::default().with_aes_encryption(zip::AesMode::Aes256, password);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn zip_of(options: SimpleFileOptions, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A zip of one member whose stored bytes are given, for methods that no writer is at hand for.
pub(crate) fn raw_zip(name: &str, method: u16, stored: &[u8], text: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(text);
    let mut facts = Vec::new();
    facts.extend(method.to_le_bytes());
    facts.extend([0; 4]);
    facts.extend(crc.sum().to_le_bytes());
    facts.extend((stored.len() as u32).to_le_bytes());
    facts.extend((text.len() as u32).to_le_bytes());
    facts.extend((name.len() as u16).to_le_bytes());
    facts.extend([0; 2]);
    let mut zip = b"PK\x03\x04\x3f\0\0\0".to_vec();
    zip.extend(&facts);
    zip.extend(name.as_bytes());
    zip.extend(stored);
    let directory = zip.len() as u32;
    zip.extend(b"PK\x01\x02\x3f\0\x3f\0\0\0");
    zip.extend(&facts);
    zip.extend([0; 14]);
    zip.extend(name.as_bytes());
    let size = zip.len() as u32 - directory;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(size.to_le_bytes());
    zip.extend(directory.to_le_bytes());
    zip.extend([0; 2]);
    zip
}

/// A member of a zip in LZMA: version, size of the properties, properties, stream.
pub(crate) fn lzma_member(bytes: &[u8]) -> Vec<u8> {
    let options = LzmaOptions::with_preset(0);
    let mut out = LzmaWriter::new_no_header(Vec::new(), &options, true).unwrap();
    let properties = out.props();
    out.write_all(bytes).unwrap();
    let stream = out.finish().unwrap();
    let head = [&[9, 20, 5, 0, properties][..], &options.dict_size.to_le_bytes()].concat();
    [head, stream].concat()
}

/// A member of a zip in Deflate64: blocks that are stored are the same in both.
pub(crate) fn stored_deflate(bytes: &[u8]) -> Vec<u8> {
    let none = flate2::Compression::none();
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), none);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A 7z archive of one member in Deflate64, whose stored bytes are given: no writer is at hand for it.
pub(crate) fn raw_sevenz(name: &str, stored: &[u8], text: &[u8]) -> Vec<u8> {
    let number = |number: usize| [&[0xff][..], &(number as u64).to_le_bytes()].concat();
    let sum = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let header = [
        // The packed streams: where they begin, how many there are, their sizes.
        &b"\x01\x04\x06\0\x01\x09"[..],
        &number(stored.len()),
        // A block with one coder, and what comes out of it.
        b"\0\x07\x0b\x01\0\x01\x03\x04\x01\x09\x0c",
        &number(text.len()),
        // The sum of its one file.
        b"\0\x08\x0a\x01",
        &sum(text),
        // The file's name.
        b"\0\0\x05\x01\x11",
        &number(name.len() + 1),
        b"\0",
        &name,
        b"\0\0",
    ]
    .concat();
    let place = [
        &(stored.len() as u64).to_le_bytes()[..],
        &(header.len() as u64).to_le_bytes(),
        &sum(&header),
    ]
    .concat();
    [b"7z\xbc\xaf\x27\x1c\0\x04", &sum(&place)[..], &place, stored, &header].concat()
}

pub(crate) fn sevenz(method: EncoderMethod, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    sevenz_of(vec![method.into()], members)
}

pub(crate) fn locked_sevenz(password: &str, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let aes = AesEncoderOptions::new(Password::from(password));
    sevenz_of(vec![aes.into(), EncoderMethod::LZMA2.into()], members)
}

fn sevenz_of(methods: Vec<EncoderConfiguration>, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    writer.set_content_methods(methods);
    for (name, bytes) in members {
        writer.push_archive_entry(ArchiveEntry::new_file(name), Some(&bytes[..])).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
