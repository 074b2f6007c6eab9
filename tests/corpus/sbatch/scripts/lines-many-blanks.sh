#!/bin/bash
     -n     4     
srun ./program
