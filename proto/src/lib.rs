//! The wire: the .proto files, and the generator of the code that node carries.
