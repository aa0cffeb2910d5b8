; Text made piece by piece, and taken apart again.

(define (repeat text n) (if (= n 0) "" (string-append text (repeat text (- n 1)))))

(define (join all between)
  (cond ((null? all) "")
        ((null? (cdr all)) (car all))
        (else (string-append (car all) between (join (cdr all) between)))))

(define (split text at)
  (let loop ((from 0) (to 0) (parts '()))
    (cond ((= to (string-length text)) (reverse (cons (substring text from to) parts)))
          ((= (string-ref text to) at) (loop (+ to 1) (+ to 1) (cons (substring text from to) parts)))
          (else (loop from (+ to 1) parts)))))

(define line (join (map number->string (iota 0 words)) ","))
(display (string-length line))
(newline)
(display (apply + (map (lambda (word) (- (string-length word) 0)) (split line 44))))
(newline)
(display (string=? line (join (split line 44) ",")))
(newline)

; As many strings as there are, each longer than the one before it: all but the last die.
(define (grow text n) (if (= n 0) (string-length text) (grow (string-append text "0123456789") (- n 1))))
(display (grow "" words))
(newline)
(write (list "a \"quoted\" word" (string->symbol (string-append "made" "-" "up")) (repeat "ab" 3)))
(newline)
