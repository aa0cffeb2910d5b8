; Recursion, lists and circles as deep as memory: nothing of it is on C's stack.

(define (count n) (if (= n 0) 0 (+ 1 (count (- n 1)))))
(display (count deep))
(newline)

(define (nest n) (let loop ((n n) (inner '())) (if (= n 0) inner (loop (- n 1) (cons inner '())))))
(define (depth nested) (let loop ((at nested) (n 0)) (if (null? at) n (loop (car at) (+ n 1)))))
(display (depth (nest deep)))
(newline)

; Circles that nobody refers to any more, one inside the other's way.
(define (circle n)
  (let ((all (iota 0 n)))
    (let last ((at all)) (if (null? (cdr at)) (set-cdr! at all) (last (cdr at))))
    all))
(define (circles n) (if (= n 0) 'gone (begin (circle 10) (circles (- n 1)))))
(display (circles (quotient deep 20)))
(newline)

; A loop by continuation: the list of what is to be done stays as short as it is.
(define (loop-to n)
  (let ((again '()) (i 0))
    (call/cc (lambda (here) (set! again here)))
    (set! i (+ i 1))
    (if (< i n) (again i) i)))
(display (loop-to deep))
(newline)

; Left by a jump from the depths.
(display (call/cc (lambda (out) (let dig ((n deep)) (if (= n 0) (out 'found) (+ 1 (dig (- n 1))))))))
(newline)
