//! The server over real sockets on loopback, with a stub in the place of the engine or the engine itself.
//! Times are shortened through `Config`, so that deadlines are met in milliseconds.

mod server {
    mod api_server_config;
    mod audit;
    mod bad_bodies;
    mod bad_objects;
    mod bad_requests;
    mod bad_reviews;
    mod binary;
    mod certificates;
    mod check;
    mod clients;
    mod connections;
    mod demo;
    mod directory;
    mod drain;
    mod greedy;
    mod health;
    mod hostile;
    mod html;
    mod judged;
    mod log;
    mod monitoring;
    mod podgate;
    mod provider;
    mod readme;
    mod refusals;
    mod reload;
    mod stub;
    mod support;
    mod unknown;
    mod wire;
    mod wrong_types;
}
