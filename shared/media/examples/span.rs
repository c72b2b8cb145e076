//! scratch
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use media::mp4::*; use domain::{cut::Span,time::MediaTime};
#[tokio::main]
async fn main(){ let a:Vec<String>=std::env::args().collect(); let f=LocalFile::open(a[1].as_ref()).unwrap(); let i=Index::read(&f).await.unwrap();
 println!("{:?}", i.info());
 let s=Span{start:MediaTime(a[2].parse().unwrap()),end:MediaTime(a[3].parse().unwrap())};
 let p=SpanFile::plan(&i,s,Wanted{video:true,audio:true}).unwrap(); println!("{:?} {:?} {:?} {}",p.ranges,p.origin,p.frames,p.bytes_total);
 let mut b=p.header.clone(); for r in &p.ranges{ b.extend(f.read_at(r.start,r.end-r.start).await.unwrap()); } std::fs::write(&a[4],b).unwrap(); }
