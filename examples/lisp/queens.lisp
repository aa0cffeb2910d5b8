; Placements of N queens none of which attacks another: (queens n) lists them all, each as the rows, last column first.

(define (safe? row distance placed)
  (cond ((null? placed) #t)
        ((= (car placed) row) #f)
        ((= (car placed) (+ row distance)) #f)
        ((= (car placed) (- row distance)) #f)
        (else (safe? row (+ distance 1) (cdr placed)))))

(define (queens n)
  (define (place column placed found)
    (if (= column n)
        (cons placed found)
        (let try ((row 0) (found found))
          (cond ((= row n) found)
                ((safe? row 1 placed) (try (+ row 1) (place (+ column 1) (cons row placed) found)))
                (else (try (+ row 1) found))))))
  (place 0 '() '()))

(for-each (lambda (n) (display n) (display " queens: ") (display (length (queens n))) (newline)) (iota 1 (+ 1 board)))
