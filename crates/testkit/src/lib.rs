//! Runner of the PromQL test language, series generators, faulty file system.
