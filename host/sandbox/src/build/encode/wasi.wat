;; What the runtimes of languages ask of WASI (`wasi_snapshot_preview1`), answered without any of it: the time
;; stands still, chance is the same each time, there are no files, arguments, variables or sockets, and what is
;; written to standard output and error goes to the log. So a plugin can do what the contract gives it and no
;; more, and does the same on every machine.
;;
;; It is linked into components that are built of modules for WASI. `VERSION` is that of their contract.
(module
  (import "env" "memory" (memory 0))
  (import "clickmill:plugin/log@VERSION" "write" (func $log (param $level i32) (param $text i32) (param $bytes i32)))
  (import "__main_module__" "cabi_realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))

  ;; The state of the dice.
  (global $dice (mut i64) (i64.const 0x9e3779b97f4a7c15))

  ;; No arguments, no variables: none of them, and none of their bytes.
  (func (export "args_sizes_get") (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (func (export "args_get") (export "environ_get") (param i32 i32) (result i32) (i32.const 0))

  ;; One second after the beginning of all clocks, for ever: some runtimes take 0 for a clock that is broken.
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $to i32) (result i32)
    (i64.store (local.get $to) (i64.const 1000000000))
    (i32.const 0))
  (func (export "clock_res_get") (param $clock i32) (param $to i32) (result i32)
    (i64.store (local.get $to) (i64.const 1000000000))
    (i32.const 0))

  (func (export "random_get") (param $to i32) (param $bytes i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $to) (local.get $end)))
        (global.set $dice
          (i64.add
            (i64.mul (global.get $dice) (i64.const 6364136223846793005))
            (i64.const 1442695040888963407)))
        (i64.store8 (local.get $to) (i64.shr_u (global.get $dice) (i64.const 56)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; How many bytes of a text are UTF-8, up to the first one that is not.
  (func $well_formed (param $text i32) (param $bytes i32) (result i32)
    (local $at i32) (local $first i32) (local $second i32) (local $length i32) (local $next i32)
    (loop $character
      (if (i32.ge_u (local.get $at) (local.get $bytes)) (then (return (local.get $bytes))))
      (local.set $first (i32.load8_u (i32.add (local.get $text) (local.get $at))))
      (local.set $length (i32.const 1))
      (if (i32.ge_u (local.get $first) (i32.const 0x80))
        (then
          (if (i32.or (i32.lt_u (local.get $first) (i32.const 0xc2)) (i32.gt_u (local.get $first) (i32.const 0xf4)))
            (then (return (local.get $at))))
          (local.set $length
            (i32.add
              (i32.const 2)
              (i32.add
                (i32.ge_u (local.get $first) (i32.const 0xe0))
                (i32.ge_u (local.get $first) (i32.const 0xf0)))))
          (if (i32.gt_u (i32.add (local.get $at) (local.get $length)) (local.get $bytes))
            (then (return (local.get $at))))
          ;; Longer than it has to be, half a surrogate pair, or beyond all characters.
          (local.set $second (i32.load8_u offset=1 (i32.add (local.get $text) (local.get $at))))
          (if
            (i32.or
              (i32.or
                (i32.and (i32.eq (local.get $first) (i32.const 0xe0)) (i32.lt_u (local.get $second) (i32.const 0xa0)))
                (i32.and (i32.eq (local.get $first) (i32.const 0xed)) (i32.gt_u (local.get $second) (i32.const 0x9f))))
              (i32.or
                (i32.and (i32.eq (local.get $first) (i32.const 0xf0)) (i32.lt_u (local.get $second) (i32.const 0x90)))
                (i32.and (i32.eq (local.get $first) (i32.const 0xf4)) (i32.gt_u (local.get $second) (i32.const 0x8f)))))
            (then (return (local.get $at))))
          (local.set $next (i32.const 1))
          (loop $continued
            (if
              (i32.ne
                (i32.and
                  (i32.load8_u (i32.add (i32.add (local.get $text) (local.get $at)) (local.get $next)))
                  (i32.const 0xc0))
                (i32.const 0x80))
              (then (return (local.get $at))))
            (local.set $next (i32.add (local.get $next) (i32.const 1)))
            (br_if $continued (i32.lt_u (local.get $next) (local.get $length))))))
      (local.set $at (i32.add (local.get $at) (local.get $length)))
      (br $character))
    unreachable)

  ;; Standard output is the log's `info`, standard error its `error`: of a plugin that traps then, the last such
  ;; line is why. A call writes a line; where it has several pieces, they are put together first. What is no UTF-8, as
  ;; where a runtime's buffer ended within a character, is `?`: the log takes nothing else.
  (func (export "fd_write") (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
    (local $left i32) (local $piece i32) (local $bytes i32) (local $text i32) (local $length i32)
    (local $at i32) (local $is_copy i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (local.set $left (local.get $count))
    (local.set $piece (local.get $pieces))
    (block $counted
      (loop $next
        (br_if $counted (i32.eqz (local.get $left)))
        (local.set $length (i32.load offset=4 (local.get $piece)))
        (if (local.get $length)
          (then
            ;; Where it is the only one that has anything, it is the text.
            (local.set $text (i32.load (local.get $piece)))
            (local.set $bytes (i32.add (local.get $bytes) (local.get $length)))))
        (local.set $piece (i32.add (local.get $piece) (i32.const 8)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $bytes))
    (if (i32.and (i32.gt_u (local.get $count) (i32.const 1)) (i32.ne (local.get $bytes) (i32.const 0)))
      (then
        (local.set $is_copy (i32.const 1))
        (local.set $text
          (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $bytes)))
        (local.set $bytes (i32.const 0))
        (loop $next
          (local.set $length (i32.load offset=4 (local.get $pieces)))
          (memory.copy
            (i32.add (local.get $text) (local.get $bytes))
            (i32.load (local.get $pieces))
            (local.get $length))
          (local.set $bytes (i32.add (local.get $bytes) (local.get $length)))
          (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br_if $next (local.get $count)))))
    ;; A line in the log has its end already.
    (block $trimmed
      (loop $next
        (br_if $trimmed (i32.eqz (local.get $bytes)))
        (br_if $trimmed
          (i32.ne
            (i32.load8_u (i32.sub (i32.add (local.get $text) (local.get $bytes)) (i32.const 1)))
            (i32.const 10)))
        (local.set $bytes (i32.sub (local.get $bytes) (i32.const 1)))
        (br $next)))
    (local.set $at (call $well_formed (local.get $text) (local.get $bytes)))
    (if (i32.lt_u (local.get $at) (local.get $bytes))
      (then
        (if (i32.eqz (local.get $is_copy))
          (then
            (local.set $piece (local.get $text))
            (local.set $text
              (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $bytes)))
            (memory.copy (local.get $text) (local.get $piece) (local.get $bytes))))
        (loop $next
          (i32.store8 (i32.add (local.get $text) (local.get $at)) (i32.const 63))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $at
            (i32.add
              (local.get $at)
              (call $well_formed
                (i32.add (local.get $text) (local.get $at))
                (i32.sub (local.get $bytes) (local.get $at)))))
          (br_if $next (i32.lt_u (local.get $at) (local.get $bytes))))))
    (if (local.get $bytes)
      (then
        (call $log
          (select (i32.const 1) (i32.const 3) (i32.eq (local.get $fd) (i32.const 1)))
          (local.get $text)
          (local.get $bytes))))
    (i32.const 0))

  ;; Standard input has ended; the three are terminals that can be written to, so that lines are not held back.
  (func (export "fd_read") (param $fd i32) (param $pieces i32) (param $count i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))
  (func (export "fd_fdstat_get") (param $fd i32) (param $to i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $to) (i64.const 2))
    (i64.store offset=8 (local.get $to) (i64.const 0x40))
    (i64.store offset=16 (local.get $to) (i64.const 0))
    (i32.const 0))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 0))

  ;; Whatever is waited for is there at once: the time does not pass.
  (func (export "poll_oneoff") (param $asked i32) (param $events i32) (param $count i32) (param $happened i32) (result i32)
    (i32.store (local.get $happened) (local.get $count))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (i64.store (local.get $events) (i64.load (local.get $asked)))
        (i64.store offset=8 (local.get $events) (i64.const 0))
        (i32.store8 offset=10 (local.get $events) (i32.load8_u offset=8 (local.get $asked)))
        (i64.store offset=16 (local.get $events) (i64.const 0))
        (i64.store offset=24 (local.get $events) (i64.const 0))
        (local.set $asked (i32.add (local.get $asked) (i32.const 48)))
        (local.set $events (i32.add (local.get $events) (i32.const 32)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; A plugin that ends itself has failed.
  (func (export "proc_exit") (param $code i32) unreachable)
  (func (export "proc_raise") (param $signal i32) (result i32) unreachable)

  ;; No such file is open (8, `badf`).
  (func (export "fd_close") (export "fd_datasync") (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (export "fd_prestat_get") (export "fd_renumber") (export "fd_tell")
    (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (export "fd_pwrite") (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32)
    (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))

  ;; There is nothing of that name (44, `noent`).
  (func (export "path_create_directory") (export "path_remove_directory") (export "path_unlink_file")
    (param i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_filestat_get") (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_readlink") (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 44))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 44))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 44)))
